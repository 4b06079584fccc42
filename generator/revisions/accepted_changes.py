"""The changes of lists of accepted drift: an entry silences gen check, so it is trust."""

from generator.errors import GenError
from generator.loading import validate, yaml_document
from generator.report.finding import Finding
from generator.revisions.changes import added_and_removed, file_finding
from generator.schema.meta import Weight


def accepted_change(path: str, before: bytes | None, after: bytes | None) -> Finding:
    """Return the change of one list; `None` stands for no list."""
    base_entries, head_entries = _entries(path, before), _entries(path, after)
    added, removed = added_and_removed(base_entries, head_entries)
    weight, message = Weight.TRUST, "accepted drift was changed"
    if not base_entries:
        message = "accepted drift was added"
    if not added:
        # gen check reports more than before.
        weight, message = Weight.TUNING, "accepted drift was removed"
        if not removed:
            message = "the list of accepted drift changed, and none of its entries"
    return file_finding(weight, path, message, details=(*added, *removed))


def _entries(path: str, content: bytes | None) -> list[str]:
    """Return a text for each entry; of a file that is not a valid list, its lines."""
    if content is None:
        return []
    # Only a review of such a list needs these models.
    from generator.workspace.accepted_file import AcceptedFile

    try:
        document = yaml_document.parse(content, path)
        entries = validate.validated(AcceptedFile, document, path).accepted
    except GenError:
        return content.decode(errors="replace").splitlines()
    texts = []
    for entry in entries:
        digest = f", {entry.sha256}" if entry.sha256 else ""
        texts.append(f"{entry.path} ({entry.cause}) until {entry.until}: {entry.reason}{digest}")
    return texts

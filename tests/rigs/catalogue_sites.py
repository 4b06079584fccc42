"""The sites of the catalogue, for tests with a row for each site."""

from depth import sample

from generator.loading.catalogue import shipped
from generator.loading.index import summary

SITES = sorted(shipped())
SAMPLE = sample(SITES, 20)
"""All sites in a full run, by default some of them: for tests whose rows differ little."""
SLURM_SITES = [site for site in SITES if summary(site, shipped()[site]).scheduler == "slurm"]

# The sites of which a reviewer reads every generated file. A change of a template shows in all of
# these, so a hundred more would only make its diff long. Of the sites that came later three tell
# something new: bih-hpc has a host CA beside fingerprints, alcf-polaris has no Slurm, and
# eidf-cerebras is behind a gateway that knows it by a short name.
SNAPSHOT_SITES = [
    "alcf-polaris",
    "archer2",
    "bede",
    "bih-hpc",
    "cirrus",
    "csc-roihu",
    "cscs-clariden",
    "cscs-daint",
    "datalab",
    "eidf-cerebras",
    "fir",
    "isambard-ai",
    "killarney",
    "leonardo",
    "lumi",
    "mila",
    "musica",
    "narval",
    "nersc-perlmutter",
    "nesi-mahuika",
    "nibi",
    "olcf-frontier",
    "rorqual",
    "sherlock",
    "sigma2-betzy",
    "sigma2-olivia",
    "sigma2-saga",
    "stanage",
    "tacc-vista",
    "tamia",
    "trillium",
    "triton",
    "ubelix",
    "ulhpc-aion",
    "ulhpc-iris",
    "uppmax-bianca",
    "uppmax-pelle",
    "vsc-hortense",
    "vsc-kuleuven-wice",
    "vsc-sofia",
    "vsc5",
    "vulcan",
]

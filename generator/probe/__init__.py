"""What a site itself says, and where that differs from its spec. Nothing here changes anything at the site."""

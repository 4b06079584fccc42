"""Ask a site about itself, and compare its answers with its spec. Nothing here changes anything at the site."""

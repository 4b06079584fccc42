"""`gen refresh`: a certificate that is about to end is renewed, and the credentials behind it are rotated."""

"""`gen refresh`: renew certificates, and rotate the credentials behind them."""

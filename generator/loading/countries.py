"""Codes of the countries in the catalogue (ISO 3166-1), by their names in lowercase."""

from collections.abc import Mapping

CODES: Mapping[str, str] = {
    "australia": "AU",
    "austria": "AT",
    "belgium": "BE",
    "canada": "CA",
    "china": "CN",
    "czech republic": "CZ",
    "czechia": "CZ",
    "estonia": "EE",
    "finland": "FI",
    "france": "FR",
    "germany": "DE",
    "great britain": "GB",
    "italy": "IT",
    "japan": "JP",
    "luxembourg": "LU",
    "netherlands": "NL",
    "new zealand": "NZ",
    "norway": "NO",
    "slovenia": "SI",
    "spain": "ES",
    "sweden": "SE",
    "switzerland": "CH",
    "united arab emirates": "AE",
    "united kingdom": "GB",
    "united states": "US",
}

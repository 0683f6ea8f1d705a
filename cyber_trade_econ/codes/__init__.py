"""Pure look-ups: which country a code of a source stands for, and who is a member of what when."""

from cyber_trade_econ.codes.country import is_country, iso3_names, members, name_of, outside_validity, schemes, to_iso3

__all__ = ["is_country", "iso3_names", "members", "name_of", "outside_validity", "schemes", "to_iso3"]

"""The TOML files: what is the same in every form, and what each form changes."""

import tomllib

FORMS = ("short", "night", "full", "tiny")


def merge(base, change):
    """`base` with what `change` has; tables are merged member by member."""
    merged = dict(base)
    for key, value in change.items():
        both_tables = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = merge(base[key], value) if both_tables and key != "targets" else value
    return merged


def choose_form(table, form):
    """The table as it is in that form, also the tables in its lists."""
    common = {key: value for key, value in table.items() if key not in FORMS}
    chosen = merge(common, table.get(form, {}))
    return {key: [choose_form(item, form) if isinstance(item, dict) else item for item in value]
            if isinstance(value, list) else value for key, value in chosen.items()}


class NoSuchForm(Exception):
    """A figure that has not the form asked for."""


def load_form(path, form):
    with open(path, "rb") as file:
        table = tomllib.load(file)
    if form not in table:
        raise NoSuchForm(f"{path.name} has no [{form}], only {', '.join(name for name in FORMS if name in table)}")
    return {**choose_form(table, form), "name": path.stem}

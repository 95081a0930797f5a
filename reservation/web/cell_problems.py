"""What is wrong with the cells of a form, in words: the label of a cell with the row that it stands in."""

from collections.abc import Iterable, Mapping

from reservation.web import wording
from reservation.web.cells import Cell
from reservation.web.refusals import field_text


def texts(problems: Mapping[str, str], cells: Iterable[Cell], language: str) -> dict[str, str]:
    """Return path → sentence, in the order of the form."""
    labels = labelled(cells, language)
    order = {path: place for place, path in enumerate(labels)}
    found = {}
    for path in sorted(problems, key=lambda each: order.get(each, len(order))):
        if path in labels:
            known = f"problem.{problems[path]}"
            key = known if wording.has(language, known) else "problem.unreadable"
            found[path] = wording.say(language, key, field=labels[path])
        else:
            found[path] = field_text(path, problems[path], language)
    return found


def labelled(cells: Iterable[Cell], language: str, before: str = "") -> dict[str, str]:
    """Return the label of every cell by its path; a row's are led by their row's number."""
    found = {}
    for cell in cells:
        label = f"{before}{cell.label}"
        found[cell.path] = label
        for place, row in enumerate(cell.rows):
            lead = f"{label} "
            if cell.kind == "rows":
                lead += wording.say(language, "cells.row", number=place + 1) + " "
                found[f"{cell.path}.{place}"] = lead.strip()
            found |= labelled(row, language, lead)
    return found

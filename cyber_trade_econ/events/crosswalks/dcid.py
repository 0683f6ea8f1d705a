"""From the incidents of DCID to the schema of the coded events."""

from __future__ import annotations

import pandas as pd

from cyber_trade_econ.events.crosswalks.account import account, days, require
from cyber_trade_econ.events.incidents import incident_frame

_NEEDED = (
    *("incident_id", "name", "start_date", "initiator", "receiver", "initiator_status", "initiator_cow", "method"),
    *("cyber_objective", "information_operation", "third_party_initiator", "ransomware", "severity"),
    *("us_justice", "us_cert", "us_fbi"),
)
_VANDALISM, _DENIAL = "1", "2"
_DISRUPTION, _SHORT_ESPIONAGE, _LONG_ESPIONAGE, _DEGRADE = 1, 2, 3, 4

# Incidents with a document of a US authority beside them that does not attribute them: those on the Emotet botnet name no
# state; the advisories TA18-106A and on SolarWinds, on Russian operations, stand beside incidents of other initiators, as
# the columns of these documents have slipped in the later rows; AA20-227A describes a malware and names nobody.
NO_ATTRIBUTION = (
    *("Lithuania MOD Disinformation", "Lithuania Health Center Emotet hack", "Loggerhead DNS Attack-Greece"),
    *("Turkish DNS Attack-Iraq", "Loggerhead DNS Attack-Syria", "Dustman Wipr Attack", "Stealth Mango", "KONNI"),
)


def from_dcid(table: pd.DataFrame) -> pd.DataFrame:
    """Return the incidents of DCID in the common schema, one row per incident, which has one initiator and one receiver.

    Parameters
    ----------
    table
        The table ``dcid.incidents``.

    Returns
    -------
    Frame of `incident_frame`, in the order given. ``imposer`` is the initiator and ``target`` the other rival: the data
    hold rivals only, so no incident between two states that are no rivals means nothing.

    ``onset`` is the published start. No precision is published; 202 of 429 incidents start on the first of a month, where
    chance would give 14, and 36 on the first of January. So its precision is ``year`` for the first of January, ``month``
    for the first of another month, else ``day``. The day of disclosure is not published.

    ``incident_type``: objectives 2 and 3 are ``espionage``; 4, degrade, is ``destruction``, or ``disruption`` by denial of
    service; 1 is ``disruption``, but vandalism (method 1), which is ``influence``. An information operation that went with
    it adds ``influence``, the mark of ransomware ``ransomware``. Thefts of money have no mark and are not told apart.

    ``intensity`` is the severity, 0 to 10, unchanged: the common scale is this one. ``attribution`` is ``government``
    where a document of a US authority that attributes the incident stands beside it, else ``others``: what other
    governments said is not recorded. ``note`` says if a third party took part, and if the initiator was corrected.

    Incidents whose initiator is no member of the dyad are left out and counted in ``frame.attrs["facts"]["left_out"]``.

    Raises
    ------
    SchemaError
        If a column is absent.
    """
    require(table, _NEEDED, "dcid.incidents")
    given = table.reset_index(drop=True)
    reason = pd.Series("", index=given.index, dtype=object)
    reason[given["initiator"].isna()] = "initiator is no member of the dyad"
    kept = given[reason == ""]
    frame = _as_events(kept)
    frame.attrs["facts"] = account(frame, reason, given["incident_id"]) | {
        "initiators_corrected": int((kept["initiator_status"] == "corrected").sum()),
        "third_party": int((kept["third_party_initiator"] == 1).sum()),
    }
    return frame


def _as_events(kept: pd.DataFrame) -> pd.DataFrame:
    incident, start = kept["incident_id"].astype(str), days(kept["start_date"])
    precision = pd.Series("day", index=kept.index).mask(start.dt.day == 1, "month")
    documents = (kept["us_justice"] + kept["us_cert"] + kept["us_fbi"]).ne("") & ~kept["name"].isin(NO_ATTRIBUTION)
    third = kept["third_party_initiator"].eq(1).map({True: "a third party took part; ", False: ""})
    corrected = "initiator corrected, published as COW " + kept["initiator_cow"].astype(str)
    notes = third + corrected.where(kept["initiator_status"] == "corrected", "")
    parts: dict[str, pd.Series] = {
        "event_id": "dcid-" + incident + "-" + kept["initiator"].str.lower() + "-" + kept["receiver"].str.lower(),
        "title": kept["name"],
        "imposer": kept["initiator"],
        "target": kept["receiver"],
        "onset": start,
        "onset_precision": precision.mask((start.dt.day == 1) & (start.dt.month == 1), "year"),
        "incident_type": _types(kept),
        "attribution": documents.map({True: "government", False: "others"}),
        "intensity": kept["severity"],
        "intensity_native": kept["severity"],
        "source_citation": "DCID, Dyadic Cyber Incident and Campaign Data 2.0, February 2023, incident " + incident,
        "note": notes.str.removesuffix("; "),
    }
    return incident_frame(parts, source="dcid")


def _types(kept: pd.DataFrame) -> pd.Series:
    objective, method = kept["cyber_objective"], kept["method"]
    degrade, denial = objective == _DEGRADE, method == _DENIAL
    codes = {
        "espionage": objective.isin([_SHORT_ESPIONAGE, _LONG_ESPIONAGE]),
        "destruction": degrade & ~denial,
        "disruption": ((objective == _DISRUPTION) & (method != _VANDALISM)) | (degrade & denial),
        "influence": (method == _VANDALISM) | (kept["information_operation"] == 1),
        "ransomware": kept["ransomware"] == 1,
    }
    marks = pd.DataFrame(codes, index=kept.index)
    return pd.Series(
        [";".join(marks.columns[row]) or "unknown" for row in marks.to_numpy(dtype=bool)],
        index=kept.index,
        dtype=object,
    )

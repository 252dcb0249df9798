"""The record of a certificate: what it says, and for how long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.machines.certificate import PARTS, CertificateRecord, StoredSecret, loads

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
RECORD = CertificateRecord(
    "aws-router", NOW + timedelta(days=90), NOW + timedelta(days=400), "ab" * 32, dict.fromkeys(PARTS, 1)
)

MOMENTS = st.datetimes(
    datetime(2000, 1, 1),  # noqa: DTZ001 - hypothesis wants it so, and adds the zone
    datetime(9000, 1, 1),  # noqa: DTZ001 - same
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
).map(lambda moment: moment.replace(microsecond=0))
RECORDS = st.builds(
    CertificateRecord,
    st.text(),
    MOMENTS,
    MOMENTS,
    st.text("0123456789abcdef", min_size=64, max_size=64),
    st.fixed_dictionaries(dict.fromkeys(PARTS, st.integers(1))),
)


@given(RECORDS)
def test_record_written_and_read_is_the_same(record: CertificateRecord) -> None:
    """Whatever stands in it; the same record is always the same text."""
    assert loads(record.dumps()) == record
    assert loads(record.dumps()).dumps() == record.dumps()


@pytest.mark.parametrize(
    "text",
    ["", "[]", "1", "null", "{}", RECORD.dumps().replace('"schema":1', '"schema":2'),
     RECORD.dumps().replace("+00:00", ""), RECORD.dumps().replace('"key":1', '"key":"x"')],
)  # fmt: skip
def test_text_that_is_no_record_is_an_error(text: str) -> None:
    """Empty, no JSON, of another schema, a time without a zone."""
    with pytest.raises(ValueError, match="this is no record of a certificate"):
        loads(text)


def test_tunnel_ends_with_what_ends_first() -> None:
    """The certificate, or the CA that both ends trust."""
    assert RECORD.days_left(NOW) == 90
    sooner = CertificateRecord("aws-router", RECORD.expires, NOW + timedelta(days=3.5), "", RECORD.versions)
    assert sooner.days_left(NOW) == 3
    assert sooner.days_left(NOW + timedelta(days=4)) == -1


@pytest.mark.parametrize(("days", "wants"), [(0, False), (59, False), (60, True), (91, True)])
def test_renewal_is_wanted_thirty_days_before(days: int, *, wants: bool) -> None:
    """The alarm and `mooring secrets check` say so at the same moment."""
    assert RECORD.wants_renewal(NOW + timedelta(days=days)) is wants


def test_secret_is_not_in_its_repr() -> None:
    """A traceback or a log of it says nothing."""
    assert "canary" not in repr(StoredSecret("canary", 1, "alias/aws/ssm", "Standard"))

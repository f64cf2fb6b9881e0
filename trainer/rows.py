"""Reads documents that are rows of a table: of Parquet, CSV and TSV.

A row is one document. Its text is in the column `text` (or `content`), else in the only column that
holds text. If several columns hold text, the choice is not guessed. A list of strings is one text
with one line for each string.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from account import Account, BadInputError, quoted
from decoding import CUT_SHORT
from pieces import size_of
from values import MAX_ROW_CHARACTERS, NO_VALUE, PEEKED_ROWS, text_column, text_of, whole_lines

BATCH_BYTES = 32 << 20
RAGGED = "rows with more cells than columns"
SELECT = (
    'python3 -c "import sys, pyarrow.parquet as p; p.write_table(p.read_table(sys.argv[1], '
    "columns=[sys.argv[2]]), 'text.parquet')\""
)


def read_parquet(path: Path, name: str = "", account: Account | None = None) -> Iterator[str]:
    """The texts of a Parquet file; only some of its rows are in memory at a time.

    Raises:
        BadInputError: the file is not complete Parquet, or its column of text is not clear.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    name, account = name or path.name, account or Account()
    try:
        with pq.ParquetFile(path, buffer_size=1 << 20) as table:
            texts = [f.name for f in table.schema_arrow if _as_bytes(f.type) is not None]
            column = text_column(
                texts, name, lambda column: column and f"{SELECT} {quoted(name)} {quoted(column)}"
            )
            for batch in table.iter_batches(_batch_rows(table.metadata), columns=[column]):
                values = batch.column(0)
                if pa.types.is_dictionary(values.type):
                    values = values.dictionary_decode()
                for value in values.cast(_as_bytes(values.type)).to_pylist():
                    yield from text_of(_decoded(value), name, account)
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BadInputError(
            f"{name} is not a complete Parquet file: {reason}",
            CUT_SHORT,
        ) from None


def read_csv(blocks: Iterable[str], name: str, account: Account) -> Iterator[str]:
    """The texts of a table whose first line names its columns, separated by `,`, `;`, tab or `|`.

    Raises:
        BadInputError: a quote is never closed, or the column of text is not clear.
    """
    lines = whole_lines(blocks, name)
    first = next(lines, "")
    csv.field_size_limit(MAX_ROW_CHARACTERS)
    separator = max(",;\t|", key=first.count)
    reader = csv.reader(itertools.chain([first], lines), delimiter=separator, strict=True)
    try:
        names = next(reader, [])
        peeked = list(itertools.islice(reader, PEEKED_ROWS))
        texts = [
            column
            for place, column in enumerate(names)
            if any(not _is_number(row[place]) for row in peeked if len(row) > place)
        ]
        account.leave_out("column names", size_of(first), name)
        if not peeked:
            return
        place = names.index(text_column(texts, name, lambda _: ""))
        for row in itertools.chain(peeked, reader):
            if any(row[len(names) :]):
                account.lose(RAGGED, size_of(separator.join(row)), name)
            elif len(row) > place:
                yield from text_of(row[place], name, account)
            elif row:
                account.lose(NO_VALUE, size_of(separator.join(row)), name)
    except csv.Error as error:
        raise BadInputError(
            f"{name}: the table cannot be read near line {reader.line_num}: {error}",
            "check for a quote that is not closed, or not doubled within quotes",
        ) from None


def _as_bytes(kind: Any) -> Any:
    """The Arrow type for a column's text as bytes; None if the column does not hold text."""
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_list(kind) or types.is_large_list(kind):
        inner = _as_bytes(kind.value_type)
        return None if inner is None or not inner.equals(pa.large_binary()) else pa.list_(inner)
    strings = (types.is_string, types.is_large_string, types.is_string_view)
    return pa.large_binary() if any(is_kind(kind) for is_kind in strings) else None


def _batch_rows(metadata: Any) -> int:
    """How many rows make some megabytes, so that long rows do not fill memory."""
    groups = [metadata.row_group(n) for n in range(metadata.num_row_groups)]
    largest = max((g.total_byte_size // max(g.num_rows, 1) for g in groups), default=0)
    return int(max(1, min(1024, BATCH_BYTES // max(largest, 1))))


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(one) for one in value]
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def _is_number(text: str) -> bool:
    try:
        float(text or "0")
    except ValueError:
        return False
    return True

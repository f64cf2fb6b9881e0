"""The files that a hard rehearsal reads: programs with which the model makes them by shell.

The files lie in a folder of their own. Git must not ignore it, because Gemini CLI would ignore it
then. Large files are random noise, so that nothing can compress or recognise them.
"""

from __future__ import annotations

FOLDER = "material"
PDF, NOTEBOOK, TEXT = f"{FOLDER}/report.pdf", f"{FOLDER}/analysis.ipynb", f"{FOLDER}/log.txt"
PICTURES = tuple(f"{FOLDER}/figure-{number}.png" for number in range(1, 6))

_PICTURE = """\
import pathlib, random, struct, zlib
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
def picture(seed, side):
    noise = random.Random(seed)
    rows = b"".join(b"\\0" + noise.randbytes(3 * side) for _ in range(side))
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")
    return b"\\x89PNG\\r\\n\\x1a\\n" + body
"""
_SAVE = """\
def save(name, data):
    path = pathlib.Path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    print("made:", name, len(data))
"""
_PICTURES = """\
for number, name in enumerate({names!r}):
    save(name, picture(number, 1024))
"""
_NOTEBOOK = """\
import base64, json
plot = base64.b64encode(picture(9, 16)).decode()
shown = {{"output_type": "display_data", "metadata": {{}}, "data": {{"image/png": plot}}}}
printed = {{"output_type": "stream", "name": "stdout", "text": ["val_bpb 2.02\\n"]}}
cells = [
    {{"cell_type": "markdown", "metadata": {{}}, "source": ["# Learning rates\\n"]}},
    {{"cell_type": "code", "metadata": {{}}, "execution_count": 1, "source": ["plot(runs)\\n"],
      "outputs": [printed, shown]}},
]
book = {{"cells": cells, "metadata": {{}}, "nbformat": 4, "nbformat_minor": 5}}
save({name!r}, json.dumps(book).encode())
"""
_PDF = """\
import pathlib
pages = 3
kids = " ".join(f"{{4 + 2 * n}} 0 R" for n in range(pages))
objects = ["<< /Type /Catalog /Pages 2 0 R >>",
           f"<< /Type /Pages /Kids [{{kids}}] /Count {{pages}} >>",
           "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
for n in range(pages):
    text = f"BT /F1 24 Tf 72 700 Td (Page {{n + 1}}: what learning rates do) Tj ET"
    objects.append("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] "
                   f"/Contents {{5 + 2 * n}} 0 R /Resources << /Font << /F1 3 0 R >> >> >>")
    objects.append(f"<< /Length {{len(text)}} >>\\nstream\\n{{text}}\\nendstream")
out, places = "%PDF-1.4\\n", []
for number, body in enumerate(objects, 1):
    places.append(len(out))
    out += f"{{number}} 0 obj\\n{{body}}\\nendobj\\n"
table = "".join(f"{{place:010d}} 00000 n \\n" for place in places)
out += (f"xref\\n0 {{len(objects) + 1}}\\n0000000000 65535 f \\n{{table}}trailer\\n"
        f"<< /Size {{len(objects) + 1}} /Root 1 0 R >>\\nstartxref\\n{{len(out)}}\\n%%EOF\\n")
save({name!r}, out.encode("latin-1"))
"""
_TEXT = """\
import pathlib, random
noise = random.Random()
lines = [f"step {{n}} " + noise.randbytes(245).hex() for n in range(400)]
save({name!r}, "\\n".join(lines).encode())
"""

MAKE_PDF = _SAVE + _PDF.format(name=PDF)
MAKE_PICTURES = _PICTURE + _SAVE + _PICTURES.format(names=PICTURES)
MAKE_NOTEBOOK = _PICTURE + _SAVE + _NOTEBOOK.format(name=NOTEBOOK)
MAKE_TEXT = _SAVE + _TEXT.format(name=TEXT)

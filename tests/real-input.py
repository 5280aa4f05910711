#!/usr/bin/env python3
"""Five nodes take real registrations and made-up 双公示 uploads with known faults, and must end with the same five logs.

    tests/real-input.py FOLDER [--kaopu target/release/kaopu] [--rows 1000] [--keep]

FOLDER holds `data/registrations/<division>.csv`, `data/dirty-codes.csv` and `tools/make_records.py`. The uploads come
in every layout and encoding, and as XLSX, XML and JSON Lines; a fifth of their rows are faulty, some repeat one another.
Each receipt must agree, row by row, with what make_records.py expects. Nothing is left behind but with --keep.
"""
import argparse, collections, csv, json, pathlib, shutil, socket, subprocess, sys, tempfile, time, zipfile
from xml.sax.saxutils import escape

NODES = {"310107": "上海市普陀区", "340500": "马鞍山市", "341200": "阜阳市", "341100": "滁州市", "341000": "黄山市"}
LAYOUTS, ENCODINGS = ["code", "chinese", "older"], ["utf-8", "utf-8-sig", "gb18030"]
IN_STEP_WITHIN = 180


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=pathlib.Path)
    p.add_argument("--kaopu", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent / "target/release/kaopu")
    p.add_argument("--rows", type=int, default=1000, help="rows of each made upload")
    p.add_argument("--keep", action="store_true", help="keep the nodes and the uploads, and say where")
    args = p.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="kaopu-real-"))
    nodes = []
    try:
        nodes = [Node(args.kaopu, work / node, node, name) for node, name in NODES.items()]
        for node in nodes:
            node.run("peer", "add", "-c", node.config, *(other.folder / "descriptor.jws" for other in nodes if other is not node))
        for node in nodes:
            node.serve()
        wrong = registrations(args, nodes) + dirty_codes(args, nodes[0]) + made_uploads(args, nodes, work)
        wrong += in_step(nodes)
        wrong += audits(nodes, work)
    finally:
        for node in nodes:
            node.stop()
        print(f"kept: {work}") if args.keep else shutil.rmtree(work, ignore_errors=True)
    print("all as expected" if not wrong else f"{wrong} things are not as expected")
    return 1 if wrong else 0


class Node:
    def __init__(self, kaopu, folder, node, name):
        self.kaopu, self.folder, self.id, self.config, self.server = kaopu, folder, node, folder / "node.toml", None
        peer, local = free_port(), free_port()
        self.run("init", "--unencrypted", folder, "--node", node, "--name", name, "--url", f"https://127.0.0.1:{peer}", "--listen", f"127.0.0.1:{peer}")
        text = self.config.read_text(encoding="utf-8")
        if "7080" in text:
            self.config.write_text(text.replace("7080", str(local)), encoding="utf-8")

    def run(self, *command):
        done = subprocess.run([self.kaopu, *map(str, command)], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{self.id}: kaopu {' '.join(map(str, command))} ended with {done.returncode}:\n{done.stderr}{done.stdout}")
        return done.stdout

    def serve(self):
        log = open(self.folder / "serve.log", "w")
        self.server = subprocess.Popen([self.kaopu, "serve", "-c", self.config], stdout=log, stderr=log)

    def stop(self):
        if self.server:
            self.server.terminate()
            self.server.wait(30)

    def receive(self, file, kind):
        return json.loads(self.run("import", "-c", self.config, file, "--kind", kind, "--json"))

    def status(self):
        return json.loads(self.run("status", "-c", self.config, "--json"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def say(text):
    print(text, flush=True)


def registrations(args, nodes):
    wrong = 0
    for node in nodes:
        file = args.folder / "data/registrations" / f"{node.id}.csv"
        with open(file, encoding="utf-8") as f:
            rows = sum(1 for _ in csv.DictReader(f))
        begun = time.time()
        receipt = node.receive(file, "registration")
        say(f"{node.id} {file.name}: {counts(receipt)} in {time.time() - begun:.1f} s")
        if receipt["read"] != rows or receipt["published"] != rows:
            wrong += 1
            say(f"  {rows} were expected to be published; {receipt['faults'][:5]}")
        again = node.receive(file, "registration")
        if (again["published"], again["skipped"], again["read"]) != (0, rows, rows):
            wrong += 1
            say(f"  sent again, it should publish nothing: {counts(again)}")
    return wrong


def dirty_codes(args, node):
    receipt = node.receive(args.folder / "data/dirty-codes.csv", "registration")
    found = collections.Counter(f["code"] for f in receipt["faults"] if f["column"] == "统一社会信用代码")
    say(f"{node.id} dirty-codes.csv: {counts(receipt)} {dict(found)}")
    expected = {"E201": 3970, "E202": 5, "W201": 4}
    if {code: found[code] for code in expected} != expected or receipt["read"] != 4018:
        say(f"  expected {expected}")
        return 1
    return 0


def made_uploads(args, nodes, work):
    tool = args.folder / "tools/make_records.py"
    plans = [(kind, layout, encoding, "csv") for kind in ("penalty", "licence") for layout in LAYOUTS for encoding in ENCODINGS]
    plans += [(kind, layout, "utf-8", form) for kind in ("penalty", "licence") for layout in LAYOUTS for form in ("xlsx", "xml", "jsonl")
              if form != "xml" or layout != "chinese"]  # headers with brackets are no names of elements
    wrong = 0
    for seed, (kind, layout, encoding, form) in enumerate(plans):
        node = nodes[seed % len(nodes)]
        file, expect = work / f"{kind}-{layout}-{encoding}-{seed}.csv", work / f"{seed}.expect.csv"
        duplicates = "0.1" if seed % 3 == 0 else "0"
        subprocess.run([sys.executable, tool, "--kind", kind, "--region", node.id, "--rows", str(args.rows), "--faults", "0.2",
                        "--duplicates", duplicates, "--layout", layout, "--encoding", encoding, "--seed", str(seed),
                        "--out", file, "--expect", expect], check=True, capture_output=True)
        if form != "csv":
            file = convert(file, form)
        receipt = node.receive(file, kind)
        bad = compare(receipt, expect, layout, encoding if form != "xlsx" else "xlsx")
        say(f"{node.id} {file.name}: {counts(receipt)}{'' if not bad else '  NOT AS EXPECTED'}")
        for line in bad[:5]:
            say(f"  {line}")
        wrong += bool(bad)
    return wrong


def compare(receipt, expect, layout, encoding):
    faults, bad = collections.defaultdict(list), []
    for fault in receipt["faults"]:
        faults[fault["row"]].append((fault["code"], fault["column"] or ""))
    outcomes = collections.Counter()
    with open(expect, encoding="utf-8") as f:
        for row in csv.DictReader(f):
            outcomes[row["outcome"]] += 1
            expected = [(row["code"], row["column"])] if row["outcome"] != "ok" else []
            if faults.get(int(row["row"]), []) != expected:
                bad.append(f"row {row['row']}: expected {expected}, found {faults.get(int(row['row']), [])}")
    summed = receipt["published"] + receipt["skipped"]
    for name, found, wanted in [("read", receipt["read"], sum(outcomes.values())), ("refused", receipt["refused"], outcomes["error"]),
                                ("warned", receipt["warned"], outcomes["warning"]), ("published or skipped", summed, outcomes["ok"] + outcomes["warning"]),
                                ("layout", receipt["layout"], layout), ("encoding", receipt["encoding"], encoding)]:
        if found != wanted:
            bad.append(f"{name}: expected {wanted}, found {found}")
    return bad


def convert(file, form):
    with open(file, encoding="utf-8", newline="") as f:
        header, *rows = csv.reader(f)
    out = file.with_suffix("." + form)
    if form == "jsonl":
        out.write_text("".join(json.dumps(dict(zip(header, row)), ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    elif form == "xml":
        cells = lambda row: "".join(f"<{h}>{escape(c)}</{h}>" for h, c in zip(header, row) if c)
        out.write_text("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<data>\n" + "".join(f"<row>{cells(row)}</row>\n" for row in rows) + "</data>\n", encoding="utf-8")
    else:
        line = lambda n, row: f"<row r=\"{n}\">" + "".join(f"<c t=\"inlineStr\"><is><t xml:space=\"preserve\">{escape(c)}</t></is></c>" for c in row) + "</row>"
        types = "http://schemas.openxmlformats.org"
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
            z.writestr("[Content_Types].xml", f"<Types xmlns=\"{types}/package/2006/content-types\"><Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>"
                       "<Override PartName=\"/xl/workbook.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml\"/>"
                       "<Override PartName=\"/xl/worksheets/sheet1.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml\"/></Types>")
            z.writestr("_rels/.rels", f"<Relationships xmlns=\"{types}/package/2006/relationships\"><Relationship Id=\"rId1\" Type=\"{types}/officeDocument/2006/relationships/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>")
            z.writestr("xl/workbook.xml", f"<workbook xmlns=\"{types}/spreadsheetml/2006/main\" xmlns:r=\"{types}/officeDocument/2006/relationships\"><sheets><sheet name=\"Sheet1\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>")
            z.writestr("xl/_rels/workbook.xml.rels", f"<Relationships xmlns=\"{types}/package/2006/relationships\"><Relationship Id=\"rId1\" Type=\"{types}/officeDocument/2006/relationships/worksheet\" Target=\"worksheets/sheet1.xml\"/></Relationships>")
            z.writestr("xl/worksheets/sheet1.xml", f"<worksheet xmlns=\"{types}/spreadsheetml/2006/main\"><sheetData>" + "".join(line(n + 1, r) for n, r in enumerate([header] + rows)) + "</sheetData></worksheet>")
    return out


def counts(receipt):
    return ", ".join(f"{name} {receipt[name]}" for name in ("read", "published", "skipped", "warned", "refused"))


def in_step(nodes):
    """Waits until every node holds of each other's records log as much as its owner."""
    until = time.time() + IN_STEP_WITHIN
    while time.time() < until:
        seen = {node.id: node.status() for node in nodes}
        own = {node: log["size"] for node, status in seen.items() for log in status["logs"] if log["origin"] == f"kaopu/{node}/records/1"}
        held = {node: {peer["node"]: peer["size"] for peer in status["peers"]} | {node: own[node]} for node, status in seen.items()}
        if all(logs == own for logs in held.values()):
            say(f"in step: {own}")
            return 0
        time.sleep(0.5)
    say(f"after {IN_STEP_WITHIN} s the nodes are not in step: {own}")
    for node, status in seen.items():
        say(f"  {node}: {held[node]} {[peer.get('error') for peer in status['peers']]}")
    return 1


def audits(nodes, work):
    """Exports each log from each node and verifies it under its owner's key: all five must have the owner's root."""
    wrong = 0
    for owner in nodes:
        origin = f"kaopu/{owner.id}/records/1"
        log = next(log for log in owner.status()["logs"] if log["origin"] == origin)
        roots = collections.Counter()
        for node in nodes:
            folder = work / f"audit-{node.id}-{owner.id}"
            node.run("audit", "export", "-c", node.config, "--origin", origin, folder)
            done = subprocess.run([node.kaopu, "audit", "verify", "--log", folder, "--key", log["verifier_keys"][0], "--json"], capture_output=True, text=True)
            report = json.loads(done.stdout)
            roots[report["root"]] += 1
            if done.returncode or not report["trusted"] or report["verified"] != log["size"]:
                wrong += 1
                say(f"  {node.id}'s copy of {origin}: {done.stdout[:500]}{done.stderr[:500]}")
            shutil.rmtree(folder)
        say(f"{origin}: {log['size']} entries, root {log['root']}, verified at {roots[log['root']]} of {len(nodes)} nodes")
        wrong += roots[log["root"]] != len(nodes)
    return wrong


if __name__ == "__main__":
    sys.exit(main())

# Peers of the history benchmark: how a Python service reads HiveServer2. What was measured is printed as JSON.
# argv: rows impyla|pyhive HOST PORT SQL READINGS | small HOST PORT SQL CLIENTS QUESTIONS | serve HOST PORT
import json
import resource
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit


def connect(library, host, port):
    if library == "pyhive":
        from pyhive import hive

        return hive.connect(host=host, port=int(port), auth="NOSASL")
    from impala.dbapi import connect as connect_impyla

    return connect_impyla(host=host, port=int(port), auth_mechanism="NOSASL")


def cpu_ms():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return (usage.ru_utime + usage.ru_stime) * 1000


def read_all(cursor, sql):
    cursor.execute(sql)
    rows = 0
    while batch := cursor.fetchmany(10_000):
        rows += len(batch)
    return rows


def measure_rows(library, host, port, sql, readings):
    cursor = connect(library, host, port).cursor()
    for _ in range(int(readings)):
        started, cpu = time.perf_counter(), cpu_ms()
        rows = read_all(cursor, sql)
        result = {"ms": (time.perf_counter() - started) * 1000, "CPU ms": cpu_ms() - cpu}
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rows": rows, **result, "peak RSS MB": rss}), flush=True)


def measure_small(host, port, sql, clients, questions):
    took = []

    def client(count):
        for _ in range(count):
            started = time.perf_counter()
            connection = connect("impyla", host, port)
            cursor = connection.cursor()
            cursor.execute(sql)
            cursor.fetchall()
            cursor.close()
            connection.close()
            took.append((time.perf_counter() - started) * 1000)

    client(3)
    took.clear()
    each = int(questions) // int(clients)
    threads = [threading.Thread(target=client, args=(each,)) for _ in range(int(clients))]
    started, cpu = time.perf_counter(), cpu_ms()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"took": took, "ms": (time.perf_counter() - started) * 1000, "cpuMs": cpu_ms() - cpu}), flush=True)


def serve(host, port):
    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            url = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(url.query).items()}
            sensors = asked["sensor_ids"].split(",")
            listed = ", ".join(f"'{sensor}'" for sensor in sensors)
            vehicle = url.path.rsplit("/", 1)[1]
            connection = connect("impyla", host, port)
            cursor = connection.cursor()
            cursor.execute(
                f"SELECT `timestamp`, sensor, uuid, value FROM sensor WHERE uuid = '{vehicle}' AND sensor IN ({listed}) "
                f"AND `timestamp` BETWEEN '{asked['start_ts']}' AND '{asked['end_ts']}' ORDER BY `timestamp` DESC"
            )
            names = [column[0] for column in cursor.description]
            rows = [dict(zip(names, row)) for row in cursor.fetchall()]
            connection.close()
            answer = {sensor: [] for sensor in sensors}
            for row in rows:
                value = float(row["value"].split(": ", 1)[1])
                answer[row["sensor"]].append({"timestamp": int(row["timestamp"]), "value": value})
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    print(server.server_port, flush=True)
    server.serve_forever()


{"rows": measure_rows, "small": measure_small, "serve": serve}[sys.argv[1]](*sys.argv[2:])

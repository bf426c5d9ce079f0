# A peer of the ingest benchmark: the client library of the old system in a bare loop.
# argv: brokers topic records. Prints how many it has seen, at the first record and at the last.
import sys

from kafka import KafkaConsumer

brokers, topic, records = sys.argv[1], sys.argv[2], int(sys.argv[3])
seen = 0
for message in KafkaConsumer(topic, bootstrap_servers=brokers.split(","), auto_offset_reset="earliest"):
    seen += 1
    if seen == 1 or seen == records:
        print(seen, flush=True)

"""Segment's own library for Python, pointed at us: python segment_client.py HOST KEY COUNT"""

import sys

import segment.analytics as analytics

host, key, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
failed = []
analytics.write_key, analytics.host, analytics.gzip = key, host, True
analytics.on_error = lambda error, items: failed.append(error)
analytics.identify("python-user", {"plan": "básico"})
for n in range(count):
    analytics.track("python-user", "Campaña enviada", {"n": n})
analytics.alias("python-anonymous", "python-user")
analytics.shutdown()
sys.exit(f"failed: {failed}" if failed else 0)

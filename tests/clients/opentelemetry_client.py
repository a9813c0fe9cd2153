"""OpenTelemetry's own exporter, pointed at us: python opentelemetry_client.py HOST KEY"""

import sys

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

host, key = sys.argv[1], sys.argv[2]
results = []


class Heard(OTLPMetricExporter):
    """Remembers what became of each export."""

    def export(self, *arguments, **named):
        result = super().export(*arguments, **named)
        results.append(result)
        return result


exporter = Heard(
    endpoint=f"{host}/v1/metrics", headers={"Authorization": f"Bearer {key}"}, compression=Compression.Gzip
)
reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
provider = MeterProvider([reader], Resource.create({"service.name": "documents", "host.name": "máquina"}))
meter = provider.get_meter("tests")
made = meter.create_counter("documents.made", unit="{document}")
for number in range(5):
    made.add(3, {"template": "carta"})
took = meter.create_histogram("documents.took", unit="s")
for seconds in (0.25, 2.0, 40.0):
    took.record(seconds)
meter.create_observable_gauge("memory.used", [lambda _: [Observation(0.125)]], unit="1")
provider.force_flush()
provider.shutdown()
sys.exit(0 if results and all(result is MetricExportResult.SUCCESS for result in results) else f"{results}")

// Segment's own library for Node, pointed at us: node segment.cjs HOST KEY FIRST COUNT
const { Analytics } = require("@segment/analytics-node");

const [host, writeKey, first, count] = process.argv.slice(2);
const analytics = new Analytics({ host, writeKey, flushAt: 5, flushInterval: 200, maxRetries: 20 });
let failed = 0;
analytics.on("error", (error) => {
  failed += 1;
  console.error(error);
});
analytics.identify({ userId: "node-user", traits: { plan: "pro" } });
analytics.page({ anonymousId: "node-anonymous", name: "Pricing", properties: { url: "https://example.com/pricing" } });
for (let n = Number(first); n < Number(first) + Number(count); n += 1) {
  analytics.track({ userId: "node-user", event: "Lesson done", properties: { n } });
}
analytics.closeAndFlush({ timeout: 60000 }).then(() => process.exit(failed ? 1 : 0));

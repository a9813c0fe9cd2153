// RudderStack's library for Node, pointed at us: node rudderstack.cjs HOST KEY COUNT
const RudderAnalytics = require("@rudderstack/rudder-sdk-node");

const [host, writeKey, count] = process.argv.slice(2);
const client = new RudderAnalytics(writeKey, { dataPlaneUrl: host, flushAt: 5, flushInterval: 200, gzip: true });
const delivered = (send) =>
  new Promise((resolve, reject) => send((error) => (error ? reject(error) : resolve())));
const events = [];
for (let n = 0; n < Number(count); n += 1) {
  const event = { userId: "rudder-user", event: "Document made", properties: { n } };
  events.push(delivered((done) => client.track(event, done)));
}
const group = { userId: "rudder-user", groupId: "acme", traits: { seats: 3 } };
events.push(delivered((done) => client.group(group, done)));
Promise.all(events).then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);

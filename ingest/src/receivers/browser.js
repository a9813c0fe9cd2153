// Tells Atalaya what happens on a page:
//   <script>window.atalaya = window.atalaya || []; atalaya.push(['page']);</script>
//   <script async src="https://EVENTS/v1/browser.js" data-key="KEY"></script>
// then atalaya.push(['track', 'Webinar seen', {minutes: 5}]), ['identify', 'user-1', {plan: 'pro'}], ['group', 'acme'], ['reset'].
// What is not acknowledged stays in the browser and is sent again, from this page or the next one.
(function () {
  'use strict';
  var script = document.currentScript;
  var key = script && script.dataset.key;
  if (!key) {
    console.error('atalaya: the script needs data-key');
    return;
  }
  var address = new URL('batch', script.src).href;
  var MOST_EVENTS = 1000;
  var MOST_SENT = 50;
  var LONGEST_WAIT_SECS = 300;

  // A browser may refuse to keep anything, or anything more: then it lasts as long as the page.
  var memory = {};
  function read(name) {
    if (name in memory) return memory[name];
    try {
      return localStorage.getItem('atalaya.' + name);
    } catch (refused) {
      return null;
    }
  }
  function keep(name, value) {
    try {
      if (value === null) localStorage.removeItem('atalaya.' + name);
      else localStorage.setItem('atalaya.' + name, value);
      delete memory[name];
    } catch (refused) {
      memory[name] = value;
    }
  }
  function waiting() {
    try {
      var found = JSON.parse(read('events'));
      return Array.isArray(found) ? found : [];
    } catch (broken) {
      return [];
    }
  }

  function id() {
    var bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.prototype.map.call(bytes, function (byte) { return (byte + 256).toString(16).slice(1); }).join('');
  }
  function anonymous() {
    var known = read('anonymous');
    if (!known) keep('anonymous', known = id());
    return known;
  }
  function context() {
    var asked = new URLSearchParams(location.search);
    var campaign = {};
    ['source', 'medium', 'campaign'].forEach(function (name) {
      var value = asked.get('utm_' + name);
      if (value) campaign[name === 'campaign' ? 'name' : name] = value;
    });
    return {
      page: { url: location.href, path: location.pathname, referrer: document.referrer, title: document.title },
      campaign: campaign,
      locale: navigator.language,
      library: { name: 'atalaya-browser', version: '1' }
    };
  }

  var isSending = false;
  var waitSecs = 1;
  var mayOutlive = true;
  var timer = 0;
  // A time that was set stands: neither a busy page nor an impatient one changes it.
  function sendIn(secs) {
    if (timer) return;
    timer = setTimeout(function () {
      timer = 0;
      send();
    }, secs * 1000);
  }
  function sendAgain(answer) {
    isSending = false;
    var said = answer && Number(answer.headers.get('retry-after'));
    waitSecs = Math.min(waitSecs * 2, LONGEST_WAIT_SECS);
    sendIn(said > 0 ? said : waitSecs);
  }
  function send() {
    var batch = waiting().slice(0, MOST_SENT);
    if (isSending || !batch.length) return;
    isSending = true;
    var body = JSON.stringify({ batch: batch, writeKey: key, sentAt: new Date().toISOString() });
    // As plain text nobody has to ask first; kept alive, it outlives the page. Only so much may be kept alive at once.
    var outlives = mayOutlive && new Blob([body]).size < 60000;
    fetch(address, { method: 'POST', body: body, keepalive: outlives, headers: { 'content-type': 'text/plain' } })
      .then(function (answer) {
        mayOutlive = true;
        var isRefused = answer.status >= 400 && answer.status < 500 && answer.status !== 408 && answer.status !== 429;
        if (!answer.ok && !isRefused) return sendAgain(answer);
        if (isRefused) console.error('atalaya: ' + batch.length + ' events were refused with ' + answer.status);
        var done = {};
        batch.forEach(function (event) { done[event.messageId] = true; });
        keep('events', JSON.stringify(waiting().filter(function (event) { return !done[event.messageId]; })));
        isSending = false;
        waitSecs = 1;
        send();
      }, function () {
        mayOutlive = false;
        sendAgain(null);
      });
  }

  function add(type, fields) {
    var event = {
      type: type,
      messageId: id(),
      anonymousId: anonymous(),
      timestamp: new Date().toISOString(),
      context: context()
    };
    var user = read('user');
    if (user) event.userId = user;
    for (var name in fields) if (fields[name] !== undefined) event[name] = fields[name];
    keep('events', JSON.stringify(waiting().concat(event).slice(-MOST_EVENTS)));
    sendIn(0.5);
  }
  var calls = {
    page: function (name, properties) { add('page', { name: name, properties: properties }); },
    track: function (name, properties) { add('track', { event: name, properties: properties }); },
    identify: function (user, traits) {
      if (user !== undefined && user !== null && user !== '') keep('user', String(user));
      add('identify', { traits: traits });
    },
    group: function (group, traits) { add('group', { groupId: String(group), traits: traits }); },
    reset: function () {
      keep('user', null);
      keep('anonymous', null);
    }
  };
  function push(call) {
    var known = Object.prototype.hasOwnProperty.call(calls, call[0]) && calls[call[0]];
    if (known) known.apply(null, call.slice(1));
    else console.error('atalaya: there is no ' + call[0]);
  }

  var before = Array.isArray(window.atalaya) ? window.atalaya : [];
  window.atalaya = { push: push };
  before.forEach(push);
  document.addEventListener('visibilitychange', function () {
    if (document.visibilityState === 'hidden') send();
  });
  send();
})();

// The registration as TagMango's page shows it for JavaScript; only host, key and hook differ.
const [host, key, hook] = process.argv.slice(2);
fetch(`${host}/api/v1/integration/webhook/webhook`, {
  method: "POST",
  headers: {
    accept: "application/json",
    "Content-Type": "application/json",
    "x-api-key": key,
  },
  body: JSON.stringify({
    hookUrl: hook,
    event: "webinar.created.recurring",
  }),
})
  .then((response) => response.json())
  .then((data) => console.log(JSON.stringify(data)));

// The example application: a page, and two addresses that say whether it is well.
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import polka from 'polka';

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'));
const { PORT = '3000', ROLE = 'web', NODE_NAME = hostname() } = process.env;

function sendText(response, text) {
  response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  response.end(`${text}\n`);
}

function health() {
  return {
    status: 'ok',
    uptime: Math.round(process.uptime()),
    role: ROLE,
    version,
    hostname: hostname(),
    node: NODE_NAME,
  };
}

const app = polka()
  .get('/', (_request, response) => sendText(response, `Hello from ${NODE_NAME}.`))
  .get('/health', (_request, response) => sendText(response, 'ok'))
  .get('/api/health', (_request, response) => {
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify(health()));
  })
  .listen(PORT, () => console.log(`listening on port ${PORT}`));

// What is being answered is finished; connections kept open for later are closed at once.
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, () => {
    app.server.close(() => process.exit(0));
    app.server.closeIdleConnections();
  });
}

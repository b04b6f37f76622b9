// Serves the sample application on this machine.
//
//     node serve.mjs --domain acme-dev.eu.auth0.com --client-id ID [--port 3000]

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: { domain: { type: 'string' }, 'client-id': { type: 'string' }, port: { type: 'string', default: '3000' } },
});
if (!values.domain || !values['client-id']) {
  console.error('usage: node serve.mjs --domain DOMAIN --client-id ID [--port 3000]');
  process.exit(64);
}

const here = new URL('./', import.meta.url);
const files = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/app.js': ['app.js', 'text/javascript; charset=utf-8'],
  '/auth0-spa-js.js': ['node_modules/@auth0/auth0-spa-js/dist/auth0-spa-js.production.js', 'text/javascript; charset=utf-8'],
};
const settings = JSON.stringify({ domain: values.domain, clientId: values['client-id'] });

createServer(async (request, response) => {
  const path = request.url.split('?')[0];
  if (path === '/settings.json') {
    response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(settings);
  } else if (files[path]) {
    const [file, type] = files[path];
    response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' }).end(await readFile(new URL(file, here)));
  } else {
    response.writeHead(404, { 'content-type': 'text/plain' }).end('not found\n');
  }
}).listen(Number(values.port), '127.0.0.1', function () {
  console.log(`http://localhost:${this.address().port}`);
});

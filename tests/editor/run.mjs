// Asks yaml-language-server what an editor would ask: hover on every key of complete.yaml, completion in every mapping and
// of every word, an error for each class of mistake that a schema can say, and none on the shipped manifests.
//
//   node run.mjs
import { spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseDocument, visit } from 'yaml';
import { BASE, MISTAKES } from './mistakes.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const schema = JSON.parse(await readFile(`${root}schemas/manifest.json`, 'utf8'));
const MODELINE = '# yaml-language-server: $schema=../schemas/manifest.json\n';
const ANSWER_MAX_MS = 20_000;
const settings = { validate: true, hover: true, completion: true, schemaStore: { enable: false }, format: { enable: false } };

/** The server, as an editor talks to it. */
class Editor {
  #server = spawn(process.execPath, [createRequire(import.meta.url).resolve('yaml-language-server/bin/yaml-language-server'), '--stdio'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  #waiting = new Map();
  #problems = new Map();
  #last = 0;
  #opened = 0;
  #rest = Buffer.alloc(0);

  constructor() {
    this.#server.stdout.on('data', (data) => this.#read(data));
  }

  #read(data) {
    this.#rest = Buffer.concat([this.#rest, data]);
    for (;;) {
      const end = this.#rest.indexOf('\r\n\r\n');
      if (end < 0) return;
      const length = Number(/Content-Length: (\d+)/i.exec(this.#rest.subarray(0, end).toString())[1]);
      if (this.#rest.length < end + 4 + length) return;
      const message = JSON.parse(this.#rest.subarray(end + 4, end + 4 + length).toString());
      this.#rest = this.#rest.subarray(end + 4 + length);
      this.#hear(message);
    }
  }

  #hear({ id, method, params, result, error }) {
    if (method === 'workspace/configuration') {
      const of = ({ section }) => (section === 'yaml' ? settings : {});
      this.#send({ id, result: params.items.map(of) });
    } else if (method === 'textDocument/publishDiagnostics') {
      this.#problems.get(params.uri)?.(params.diagnostics);
    } else if (method !== undefined && id !== undefined) {
      this.#send({ id, result: null });
    } else if (id !== undefined) {
      const { resolve, reject } = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error) reject(new Error(error.message));
      else resolve(result);
    }
  }

  #send(message) {
    const text = JSON.stringify({ jsonrpc: '2.0', ...message });
    this.#server.stdin.write(`Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
  }

  tell(method, params) {
    this.#send({ method, params });
  }

  ask(method, params) {
    const id = ++this.#last;
    const answer = new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      setTimeout(() => reject(new Error(`no answer to ${method}`)), ANSWER_MAX_MS).unref();
    });
    this.#send({ id, method, params });
    return answer;
  }

  async start() {
    const capabilities = { workspace: { configuration: true }, textDocument: { completion: { completionItem: {} }, hover: {} } };
    await this.ask('initialize', { processId: process.pid, rootUri: pathToFileURL(root).href, capabilities });
    this.tell('initialized', {});
    this.tell('workspace/didChangeConfiguration', { settings: { yaml: settings } });
  }

  /** Opens a text as a file of `manifests/`; the promise of its problems settles when the server has checked it. */
  open(name, text) {
    // Each has a name of its own: what is told of a file that was closed may come late.
    const uri = pathToFileURL(`${root}manifests/${++this.#opened}-${name}`).href;
    const problems = new Promise((resolve, reject) => {
      this.#problems.set(uri, resolve);
      setTimeout(() => reject(new Error(`${name} is not checked`)), ANSWER_MAX_MS).unref();
    });
    this.tell('textDocument/didOpen', { textDocument: { uri, languageId: 'yaml', version: 1, text } });
    return { uri, problems };
  }

  close(uri) {
    this.tell('textDocument/didClose', { textDocument: { uri } });
  }

  async problems(name, text) {
    const { uri, problems } = this.open(name, text);
    const found = await problems;
    this.close(uri);
    return found;
  }

  /** The labels that are offered at the end of a text. */
  async completions(name, text) {
    const { uri, problems } = this.open(name, text);
    await problems;
    const lines = text.split('\n');
    const position = { line: lines.length - 1, character: lines.at(-1).length };
    const { items } = await this.ask('textDocument/completion', { textDocument: { uri }, position });
    this.close(uri);
    return items.map(({ label }) => label);
  }

  stop() {
    this.#server.kill();
  }
}

const wrong = [];
const expect = (holds, what) => {
  if (!holds) wrong.push(what);
};

/** The schema of a member, and whether its name is free. */
const member = (of, key) => ({ schema: of?.properties?.[key] ?? of?.additionalProperties, isFree: !of?.properties?.[key] });

/** Every mapping with fixed keys: its path, with names where names are free. */
function* mappings(of, path = []) {
  if (of?.properties) yield { path, of };
  for (const [key, inner] of Object.entries(of?.properties ?? {})) yield* mappings(inner, [...path, key]);
  if (typeof of?.additionalProperties === 'object') yield* mappings(of.additionalProperties, [...path, 'NAME']);
}

/** The words that a value may be. */
const words = (of) => {
  const parts = [of, of?.else, ...(of?.anyOf ?? []), ...(of?.else?.anyOf ?? [])].filter(Boolean);
  const listed = parts.flatMap((part) => [...(part.enum ?? []), ...('const' in part ? [part.const] : [])]);
  return [...listed, ...(parts.some((part) => part.type === 'boolean') ? [true, false] : [])];
};

/** Lines that lead to a mapping, each two blanks deeper. */
const leading = (path) => path.map((key, depth) => `${'  '.repeat(depth)}${key}:\n`).join('');

const editor = new Editor();
const count = { files: 0, keys: 0, names: 0, mappings: 0, words: 0, mistakes: 0 };
try {
  await editor.start();
  for (const name of (await readdir(`${root}manifests`)).filter((name) => name.endsWith('.yaml'))) {
    const found = await editor.problems(name, await readFile(`${root}manifests/${name}`, 'utf8'));
    expect(found.length === 0, `${name}: ${JSON.stringify(found)}`);
    count.files += 1;
  }
  expect((await editor.problems('base.yaml', BASE)).length === 0, 'the base of the mistakes has problems');

  const complete = await readFile(`${root}manifests/complete.yaml`, 'utf8');
  const { uri, problems } = editor.open('complete.yaml', complete);
  await problems;
  const keys = [];
  visit(parseDocument(complete), {
    Pair(_, pair, parents) {
      const path = [...parents.filter((parent) => parent.key?.range), pair].map(({ key }) => key.value);
      keys.push({ path, at: pair.key.range[0] });
    },
  });
  for (const { path, at } of keys) {
    let [here, isFree] = [schema, false];
    for (const key of path) ({ schema: here, isFree } = member(here, key));
    if (isFree) {
      count.names += 1;
      continue;
    }
    const before = complete.slice(0, at).split('\n');
    const position = { line: before.length - 1, character: before.at(-1).length + 1 };
    const hover = await editor.ask('textDocument/hover', { textDocument: { uri }, position });
    const plain = (text) => text.replace(/[^A-Za-z0-9]/g, '');
    const said = plain(hover?.contents?.value ?? '');
    expect(here?.description && said.includes(plain(here.description)), `hover on ${path.join('.')}: ${hover?.contents?.value}`);
    count.keys += 1;
  }
  editor.close(uri);

  for (const { path, of } of mappings(schema)) {
    const begin = MODELINE + leading(path);
    const offered = await editor.completions('keys.yaml', begin + '  '.repeat(path.length));
    const lacks = Object.keys(of.properties).filter((key) => !offered.includes(key));
    expect(lacks.length === 0, `below ${path.join('.') || 'the root'} nobody offers ${lacks}`);
    count.mappings += 1;
    for (const [key, value] of Object.entries(of.properties)) {
      const isList = value.type === 'array';
      const wanted = words(isList ? value.items : value).map(String);
      if (wanted.length === 0) continue;
      const line = `${'  '.repeat(path.length)}${key}:${isList ? `\n${'  '.repeat(path.length + 1)}- ` : ' '}`;
      const given = await editor.completions('words.yaml', begin + line);
      const bare = given.map((label) => label.replace(/^"(.*)"$/, '$1'));
      const missing = wanted.filter((word) => !bare.includes(word));
      expect(missing.length === 0, `at ${[...path, key].join('.')} nobody offers ${missing}: ${bare}`);
      count.words += wanted.length;
    }
  }

  for (const [what, from, to] of MISTAKES) {
    if (!BASE.includes(from)) throw new Error(`the base has no ${from}`);
    const text = BASE.replace(from, to);
    const found = await editor.problems('mistake.yaml', text);
    expect(found.length > 0, `${what} is not noticed`);
    count.mistakes += 1;
  }
} finally {
  editor.stop();
}
wrong.slice(0, 40).forEach((line) => console.error(`wrong: ${line}`));
console.log(
  `checked: ${count.files} manifests without problems, hover on ${count.keys} keys (and ${count.names} free names), ` +
    `completion in ${count.mappings} mappings and of ${count.words} words, ${count.mistakes} classes of mistakes; ${wrong.length} wrong`,
);
process.exit(wrong.length > 0 ? 1 : 0);

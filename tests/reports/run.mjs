// Markdown plans, judged by other people's programs: markdownlint reads each, two renderers make HTML of it, and a
// browser says which elements came of that. Usage: node run.mjs FOLDER, with the .md files of forms::generated in it.

import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import MarkdownIt from "markdown-it";
import { marked } from "marked";
import { chromium } from "playwright-core";

const here = dirname(fileURLToPath(import.meta.url));
const folder = process.argv[2];
const names = readdirSync(folder).filter((name) => name.endsWith(".md")).sort();
const problems = [];

// The configuration lies beside this file, and the linter looks for files below where it runs.
const lint = spawnSync(
  join(here, "node_modules/.bin/markdownlint-cli2"),
  ["--config", join(here, "comment.markdownlint-cli2.jsonc"), "*.md"],
  { cwd: folder, encoding: "utf8" },
);
if (lint.status !== 0) problems.push(`markdownlint:\n${lint.stderr.split("\n").slice(0, 40).join("\n")}`);

// Every element of a comment comes from its frame. None has an attribute, but for the language of a fence and the first
// number of a list.
const ELEMENTS = ["H2", "H3", "P", "UL", "OL", "LI", "DETAILS", "SUMMARY", "PRE", "CODE", "STRONG"];
// Words of the hostile names; each of them stands in code, where nothing is a link or a mention.
const HOSTILE = ["FORGED", "evil.example", "@team", "org/repo#1"];

const renderers = {
  "markdown-it": (text) => new MarkdownIt({ html: true, linkify: true }).render(text),
  marked: (text) => marked.parse(text, { gfm: true }),
};

const judge = ([elements, hostile]) => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_ALL);
  let [count, named] = [0, 0];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (node.nodeType === Node.ELEMENT_NODE) {
      count += 1;
      if (!elements.includes(node.tagName)) found.push(`element ${node.outerHTML.slice(0, 100)}`);
      for (const { name } of node.attributes) {
        const fits = (node.tagName === "CODE" && name === "class") || (node.tagName === "OL" && name === "start");
        if (!fits) found.push(`attribute ${name} of ${node.outerHTML.slice(0, 100)}`);
      }
    } else if (node.nodeType !== Node.TEXT_NODE) {
      found.push(`node ${node.nodeType}: ${node.data}`);
    } else if (hostile.some((word) => node.data.includes(word))) {
      named += 1;
      if (!node.parentElement.closest("code")) found.push(`text outside of code: ${node.data.slice(0, 100)}`);
    }
  }
  return { found, count, named };
};

const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const page = await browser.newPage();
page.on("dialog", (dialog) => {
  problems.push(`a script ran: ${dialog.message()}`);
  dialog.dismiss();
});
page.on("request", (request) => {
  if (/^https?:/.test(request.url())) problems.push(`a request to ${request.url()}`);
});
let [elements, hostile] = [0, 0];
for (const name of names) {
  const text = readFileSync(join(folder, name), "utf8");
  if (Buffer.byteLength(text) > 60_000) problems.push(`${name}: ${Buffer.byteLength(text)} bytes`);
  for (const [renderer, render] of Object.entries(renderers)) {
    await page.setContent(`<!doctype html><body>${render(text)}</body>`);
    const { found, count, named } = await page.evaluate(judge, [ELEMENTS, HOSTILE]);
    problems.push(...found.slice(0, 3).map((what) => `${name} by ${renderer}: ${what}`));
    [elements, hostile] = [elements + count, hostile + named];
  }
}
await browser.close();

const enough = names.length >= 300 && elements > 20_000 && hostile > 2_000;
if (!enough) problems.push(`too little was seen: ${names.length} files, ${elements} elements, ${hostile} hostile texts`);
if (problems.length > 0) {
  console.error(`${problems.length} problems\n${problems.slice(0, 40).join("\n")}`);
  process.exit(1);
}
console.log(
  `checked: ${names.length} Markdown files by markdownlint; ${elements} elements of their HTML in a browser, ` +
    `${hostile} hostile texts, all of them in code`,
);

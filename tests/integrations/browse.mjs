// node browse.mjs CHROMIUM ADDRESS FOLDER: a person at the page; says what the page says.
import { chromium } from 'playwright-core';
import { createInterface } from 'node:readline/promises';

const [executablePath, address, folder] = process.argv.slice(2);
const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const browser = await chromium.launch({ executablePath, args });
const page = await browser.newPage({ viewport: { width: 480, height: 560 } });
page.setDefaultTimeout(30_000);
const said = page.getByRole('status');

async function call(mobile) {
  await page.getByLabel('Mobile number').fill(mobile);
  await page.getByRole('button', { name: 'Call me with a code' }).click();
}

async function until(text, picture) {
  await said.filter({ hasText: text }).waitFor();
  if (picture) await page.screenshot({ path: `${folder}/${picture}.png` });
  console.log(await said.textContent());
}

await page.goto(address);
await call('138 0013 8000');
await until('ringing', 'ringing');
const [code] = await Promise.all([createInterface({ input: process.stdin }).question('')]);
await page.getByLabel('Code').fill(code.trim());
await page.getByRole('button', { name: 'Sign in' }).click();
await until('signed in', 'signed-in');
await call('12345');
await until('not a mainland number');
await call('19900004030');
await until('We cannot call you', 'sms');
await page.getByRole('button', { name: 'Send an SMS instead' }).click();
await until('on its way');
await browser.close();
process.exit(0);

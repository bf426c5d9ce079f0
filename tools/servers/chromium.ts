import { findTool } from './packages.ts'

/** A browser for playwright-core: `chromium.launch({ executablePath, args })`. Root may not use its sandbox. */
export async function findChromium(): Promise<{ executablePath: string; args: string[] }> {
  return { executablePath: await findTool('chromium'), args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] }
}

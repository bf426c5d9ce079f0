/** An element that index.html is known to have. */
export const element = (selector: string) => document.querySelector<HTMLElement>(selector)!
export const button = (selector: string) => document.querySelector<HTMLButtonElement>(selector)!

/** A bug that the model has to find: what stands in a file of the hub, and what would be wrong there. */
export type Bug = { name: string; file: string; correct: string; wrong: string }

export const bugs: readonly Bug[] = [
  {
    name: 'catching up begins one entry too late',
    file: 'log-window.ts',
    correct: 'if (afterSeq >= this.#ringFloor) {\n      for (let seq = afterSeq + 1;',
    wrong: 'if (afterSeq >= this.#ringFloor) {\n      for (let seq = afterSeq + 2;',
  },
  {
    name: 'what is left behind when a box moves is not told',
    file: 'subscriptions.ts',
    correct: 'if (left.length > 0) sayLeave(session, id, left)',
    wrong: 'if (left.length < 0) sayLeave(session, id, left)',
  },
  {
    name: 'who resumes gets the last event again',
    file: 'subscriptions.ts',
    correct: 'subscription.stateTo = subscription.eventsTo = seq\n    session.reach',
    wrong: 'subscription.stateTo = subscription.eventsTo = Math.max(0, seq - 1)\n    session.reach',
  },
  {
    name: 'late readings are passed on',
    file: 'log-window.ts',
    correct:
      'if (entry.isLate) this.#ring[entry.seq % this.#ring.length] = undefined\n      else this.#keep(entry, nowMs)',
    wrong: 'this.#keep(entry, nowMs)',
  },
  {
    name: 'what is no longer muted does not come until it changes',
    file: 'subscriptions.ts',
    correct: 'if (before && before.size > 0) for',
    wrong: 'if (before && before.size < 0) for',
  },
  {
    name: 'anomalies that were forgotten are no gap',
    file: 'catch-up.ts',
    correct: 'if (session.owesGap.anomaly || had < window.eventsFloor) {',
    wrong: 'if (session.owesGap.anomaly) {',
  },
  {
    name: 'a box across the antimeridian goes the other way round',
    file: 'box.ts',
    correct: 'width: width < 0 ? width + 360 : width,',
    wrong: 'width: Math.abs(width),',
  },
  {
    name: 'a flush that a connection takes only half of counts as taken',
    file: 'hub.ts',
    correct: 'this.#block(session, course, reachedSeq)',
    wrong: 'this.#block(session)',
  },
  {
    name: 'a cursor from a quicker hub is not waited for',
    file: 'subscriptions.ts',
    correct:
      'return reach > head || subscriptions.values().some(({ stateTo, eventsTo }) => stateTo > head || eventsTo > head)',
    wrong: 'return reach > head && subscriptions.size > 2',
  },
  {
    name: 'of readings that were to come each, a flush has the newest only',
    file: 'flush-frames.ts',
    correct: 'if (!isCurrent && !wantsEach(view, entry, where.place)) {',
    wrong: 'if (!isCurrent) {',
  },
  {
    name: 'a cursor does not say that something was muted',
    file: 'session.ts',
    correct: 'this.fastest.view.mutes !== undefined ||',
    wrong: '',
  },
  {
    name: 'vehicles that enter a box while a client catches up come without the rest of their state',
    file: 'catch-up.ts',
    correct: 'entries: window.state(toSeq, moves.entered),',
    wrong: 'entries: [].values(),',
  },
]

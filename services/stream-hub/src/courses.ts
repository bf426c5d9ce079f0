import { Course, standBehind, type Behind, type Subscription } from './course.ts'
import type { Lane, Lanes } from './lane.ts'
import type { LogWindow } from './log-window.ts'
import type { Session } from './session.ts'
import type { View } from './view.ts'

type Deps = {
  window: LogWindow
  lanes: Lanes<Course>
  /** The course of a box ended while its client was told what enters and leaves it. */
  retakeBox: (session: Session, subscription: Subscription) => void
}

/** Gives every session the courses that its subscriptions need, and moves them between live and behind. */
export class Courses {
  readonly #window: LogWindow
  readonly #lanes: Lanes<Course>
  readonly #retakeBox: Deps['retakeBox']
  /** Who is to be brought forward. */
  readonly behind = new Set<Course>()

  constructor({ window, lanes, retakeBox }: Deps) {
    this.#window = window
    this.#lanes = lanes
    this.#retakeBox = retakeBox
  }

  end({ courses }: Session): void {
    for (const course of courses) this.#end(course)
  }

  fallBehind(course: Course, cursor = course.position): Behind {
    const { standing } = course
    if (standing.at === 'behind') return standing
    const behind = standBehind(cursor)
    if (standing.at === 'closed') return behind
    course.lane.groups.leave(course, standing.group)
    this.behind.add(course)
    return (course.standing = behind)
  }

  goLive(course: Course): void {
    if (this.behind.delete(course)) this.#join(course)
  }

  #join(course: Course): void {
    const { lane, session, view } = course
    const group = lane.groups.join(course, session.protocol, view, session.courses.length > 1)
    course.standing = { at: 'live', group }
  }

  #end(course: Course): void {
    if (course.standing.at === 'live') course.lane.groups.leave(course, course.standing.group)
    course.standing = { at: 'closed' }
    this.behind.delete(course)
    this.#lanes.leave(course.lane)
  }

  /** Writes down what each subscription has, before its course changes. */
  note(session: Session): void {
    const { courses, subscriptions } = session
    for (const course of courses)
      for (const subscription of course.subscriptions)
        subscription.stateTo = Math.max(subscription.stateTo, course.position)
    for (const subscription of subscriptions.values())
      subscription.eventsTo = Math.max(subscription.eventsTo, session.fastest.position)
  }

  /** One course for each interval, each no further than what its subscriptions have. */
  arrange(session: Session): void {
    const [lanes, window] = [this.#lanes, this.#window]
    const all = [...session.subscriptions.values()]
    const wanted = all.length === 0 ? [session.slowedMs] : all.map((one) => session.intervalOf(one))
    const intervals = [...new Set(wanted)].toSorted((one, other) => one - other)
    const old = new Map(session.courses.map((course) => [course.lane.intervalMs, course]))
    const positions = session.courses.map(({ position }) => position)
    session.courses = intervals.map((intervalMs, index) => {
      const own = all.filter((one) => session.intervalOf(one) === intervalMs)
      const isFastest = index === 0
      const view = session.viewOf(own, isFastest ? all.filter((one) => !own.includes(one)) : undefined)
      const had = [...own.map(({ stateTo }) => stateTo), ...(isFastest ? all.map(({ eventsTo }) => eventsTo) : [])]
      // A client without subscriptions, as the plain ones are, goes on where it is.
      if (all.length === 0) had.push(...positions)
      const has = Math.min(...had)
      const course = old.get(intervalMs)
      if (!course) return this.#begin(session, lanes.enter(intervalMs, window.head), own, view, has)
      old.delete(intervalMs)
      course.subscriptions = own
      if (course.position > has) this.#takeBack(course, has)
      // Another hub was quicker than this one.
      else if (course.lane.flushedTo < Math.max(...had)) this.fallBehind(course)
      course.view = view
      return course
    })
    for (const course of old.values()) this.#dissolve(session, course)
    for (const course of session.courses) this.#regroup(course)
  }

  #begin(session: Session, lane: Lane<Course>, own: Subscription[], view: View, has: number): Course {
    const course = new Course(session, lane, own, view, standBehind(Math.min(has, this.#window.head)))
    this.behind.add(course)
    return course
  }

  #takeBack(course: Course, cursor: number): void {
    this.fallBehind(course).cursor = cursor
    course.session.toldGapTo.anomaly = course.session.toldGapTo.sensordata = 0
  }

  /** Its subscriptions have other courses now, which walk what it has not yet walked. */
  #dissolve(session: Session, course: Course): void {
    const { standing, subscriptions } = course
    this.#end(course)
    if (standing.at !== 'behind') return
    for (const walk of standing.walks) {
      const heir = session.courses.find((one) => walk.subscription && one.subscriptions.includes(walk.subscription))
      this.fallBehind(heir ?? session.fastest).walks.push(walk)
    }
    if (standing.pass)
      for (const one of subscriptions)
        if (one.filter.view && session.subscriptions.has(one.id)) this.#retakeBox(session, one)
  }

  #regroup(course: Course): void {
    const { standing, lane, session, view } = course
    if (standing.at !== 'live') return
    const { group } = standing
    if (group.view.signature === view.signature && group.hasOwnCursors === session.courses.length > 1) return
    lane.groups.leave(course, group)
    this.#join(course)
  }
}

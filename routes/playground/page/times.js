import { int64 } from './dom.js';

const relativeTime = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });

export const absoluteTime = new Intl.DateTimeFormat('en', { dateStyle: 'full', timeStyle: 'medium' });
export const clockTime = new Intl.DateTimeFormat('en', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  fractionalSecondDigits: 3,
  hourCycle: 'h23',
});

export const secondsTime = new Intl.DateTimeFormat('en', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});

/** How long ago a moment was, in words. */
export function ago(ms) {
  const seconds = (ms - Date.now()) / 1000;
  if (Math.abs(seconds) < 45) return 'now';
  const minutes = Math.round(seconds / 60);
  if (Math.abs(minutes) < 60) return relativeTime.format(minutes, 'minute');
  const hours = Math.round(minutes / 60);
  if (Math.abs(hours) < 24) return relativeTime.format(hours, 'hour');
  const days = Math.round(hours / 24);
  return Math.abs(days) < 30
    ? relativeTime.format(days, 'day')
    : relativeTime.format(Math.round(days / 30), 'month');
}

/** When a delivery that is pending goes on. */
export function dueWords({ status, reason, dueAtMs }) {
  if (status !== 'DELIVERY_STATUS_PENDING' || int64(dueAtMs) === 0n) return '';
  if (!reason) return ', under way';
  return `, tried again at ${secondsTime.format(new Date(Number(dueAtMs)))}`;
}

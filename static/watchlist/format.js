// Formats numbers and ages as text. Pure: no DOM, no clock.
// watchlist/formatting on the server writes numbers by the same rules; tests/cases/numbers.json tests both.

export const NO_VALUE = "–";
const MINUS = "\u2212";
const ARROWS = { up: "▲", down: "▼", flat: "" };
const EXPONENT_FROM = 1e21; // toFixed writes this number and larger numbers with an exponent

// Match the places of the group marks. The key is the size of the groups before the last three digits.
const GROUP_STARTS = { 3: /\B(?=(?:\d{3})+$)/g, 2: /\B(?=(?:\d{2})*\d{3}$)/g };
let numerals = { groupMark: ",", decimalMark: ".", groupSize: 3, minDigits: 4 };

// Sets the punctuation of numbers from the data attributes of the page. `group` and `point` are the marks. `further` is
// the size of the groups before the last three digits. A number with fewer than `least` whole digits has no groups.
export function setNumerals({ group, point, further, least }) {
  numerals = { groupMark: group, decimalMark: point, groupSize: Number(further), minDigits: Number(least) };
}

// Returns a number with a fixed number of decimals, such as `98,234.50`. A half is rounded away from zero.
export function formatNumber(value, decimals) {
  const { groupMark, decimalMark, groupSize, minDigits } = numerals;
  const [whole, fraction] = toPlain(value, decimals).split(".");
  const grouped = whole.length < minDigits ? whole : whole.replace(GROUP_STARTS[groupSize], groupMark);
  return fraction ? grouped + decimalMark + fraction : grouped;
}

// Returns a number with a plus or minus sign, such as `+2.50`. A number that rounds to zero has no sign.
export function formatSigned(value, decimals) {
  if (!Number.isFinite(value)) return NO_VALUE;
  const digits = formatNumber(Math.abs(value), decimals);
  if (!/[1-9]/.test(digits)) return digits;
  return (value > 0 ? "+" : MINUS) + digits;
}

export function formatPercent(value) {
  const text = formatSigned(value, 2);
  return text === NO_VALUE ? text : `${text}%`;
}

export function directionOf(signed) {
  if (signed.startsWith("+")) return "up";
  return signed.startsWith(MINUS) ? "down" : "flat";
}

export function arrowOf(direction) {
  return ARROWS[direction];
}

// Returns an age as text, such as `3 s` or `5 min`. Returns NO_VALUE for an unknown age.
export function formatAge(milliseconds) {
  if (!(milliseconds >= 0)) return NO_VALUE;
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 1) return "< 1 s";
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

function toPlain(value, decimals) {
  if (Math.abs(value) < EXPONENT_FROM || !Number.isFinite(value)) return value.toFixed(decimals);
  return `${BigInt(value)}.${"0".repeat(decimals)}`;
}

// Formats numbers and ages as text. Pure: no DOM, no clock.
// The server writes the same numbers (watchlist/formatting); tests/cases/numbers.json tests both.

export const NO_VALUE = "–";
const MINUS = "\u2212";
const ARROWS = { up: "▲", down: "▼", flat: "" };
const EXPONENT_FROM = 1e21; // for toFixed

// Where groups start, by the size of the groups before the last three digits.
const GROUP_STARTS = { 3: /\B(?=(?:\d{3})+$)/g, 2: /\B(?=(?:\d{2})*\d{3}$)/g };
let numerals = { groupMark: ",", decimalMark: ".", groupSize: 3, minDigits: 4 };

// Takes the data attributes of the page. Numbers with fewer than `least` whole digits get no groups.
export function setNumerals({ group, point, further, least }) {
  numerals = { groupMark: group, decimalMark: point, groupSize: Number(further), minDigits: Number(least) };
}

// `98,234.50`: fixed decimals, a half rounds away from zero.
export function formatNumber(value, decimals) {
  const { groupMark, decimalMark, groupSize, minDigits } = numerals;
  const [whole, fraction] = toPlain(value, decimals).split(".");
  const grouped = whole.length < minDigits ? whole : whole.replace(GROUP_STARTS[groupSize], groupMark);
  return fraction ? grouped + decimalMark + fraction : grouped;
}

// With a plus or minus sign; without one if it rounds to zero.
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

// NO_VALUE for an unknown age.
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

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1 });
const money = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

export const count = (n) => whole.format(n);
export const rate = (n) => (n >= 100 ? whole : short).format(n);
export const credits = (n) => money.format(n);

export function percent(part, all) {
  if (!all || !part) return part ? "–" : "0%";
  const share = (100 * part) / all;
  // Never show "100%" or "0%" for a share that is not exactly that.
  if (share > 99.95 && part < all) return ">99.9%";
  if (share < 0.05) return "<0.1%";
  return `${short.format(share)}%`;
}

export const utc = (iso) => (iso ? iso.slice(0, 16).replace("T", " ") : "–");

export function age(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 90) return `${s} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  return s < 129600 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} d`;
}

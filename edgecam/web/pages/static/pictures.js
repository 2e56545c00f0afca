/** Pictures that are fetched when they are seen, and not while they only fly past: a Pi has better things to do. */

const SETTLED = 100;
const addresses = new WeakMap();
const timers = new WeakMap();

const observer = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    clearTimeout(timers.get(target));
    if (isIntersecting) timers.set(target, setTimeout(() => show(target), SETTLED));
  }
}, { rootMargin: "120px" });

function show(image) {
  observer.unobserve(image);
  image.src = addresses.get(image);
}

/** Have this picture shown from this address, once it is in sight. */
export function showWhenSeen(image, address) {
  addresses.set(image, address);
  observer.unobserve(image);
  observer.observe(image);
}

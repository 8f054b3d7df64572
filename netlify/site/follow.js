/**
 * Keep the end of the growing answer in sight once its reader has asked for that. `button`, shown
 * while it is below the window, leads there; scrolling back up ends the following.
 */
export function createFollower(button, turns, composer) {
  let isFollowing = false;
  let lastTop = 0;

  const isGrowing = () => ["asking", "answering"].includes(turns.lastElementChild?.dataset.phase);
  const end = () => turns.lastElementChild?.querySelector(".answer").getBoundingClientRect().bottom ?? 0;
  const visible = () => innerHeight - composer.offsetHeight;

  function update() {
    if (isFollowing && end() > visible()) scrollBy({ top: end() - visible() + 8, behavior: "instant" });
    button.hidden = isFollowing || !isGrowing() || end() <= visible() + 24;
  }

  addEventListener("scroll", () => {
    if (scrollY < lastTop - 2) isFollowing = false;
    lastTop = scrollY;
    update();
  }, { passive: true });
  addEventListener("resize", update);
  button.addEventListener("click", () => {
    isFollowing = true;
    update();
  });

  return {
    update,
    /** A question was asked: only its reader scrolls from now on. */
    reset() {
      isFollowing = false;
    },
  };
}

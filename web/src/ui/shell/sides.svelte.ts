/** What panels cover of the map, in pixels of the screen. */
class Sides {
  left = $state(0);
  bottom = $state(0);
}

export const sides = new Sides();

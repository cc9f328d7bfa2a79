import type { Grown } from "./engine";
import type { TreeArrays } from "./types";

/**
 * The links of trees whose nodes are in the order of breadth: the children of the j-th node of a tree that splits are
 * its nodes 1 + 2 j and 2 + 2 j. Leaves are numbered in the order of the nodes; `leaf` gives the row of each.
 */
export function grown(
  trees: TreeArrays,
  features: number,
  leaf: Int32Array | undefined,
  table: Float64Array,
  columns: number,
  adds?: Int32Array,
): Grown {
  const { sizes, feature } = trees;
  const roots = new Int32Array(sizes.length);
  const [child, row] = [new Int32Array(feature.length), new Int32Array(feature.length)];
  let [node, leaves] = [0, 0];
  sizes.forEach((size, tree) => {
    const root = node;
    roots[tree] = root;
    for (let inner = 0; node < root + size; node++) {
      if ((feature[node] as number) >= 0) {
        child[node] = root + 1 + 2 * inner++;
      } else {
        child[node] = node;
        row[node] = leaf ? (leaf[leaves] as number) : leaves;
        leaves++;
      }
    }
  });
  return { ...trees, features, roots, child, row, table, columns, adds };
}

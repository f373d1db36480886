// Finds lines of text in an image with the detection model (DBNet): it gives, for each pixel, how likely it lies in the core of a text
// line; connected pixels make a line, which is then widened, because the core is shrunken by design.
//
// The page's skew is taken from the same map (the slopes of the long lines), and the boxes are measured in the levelled frame, so that
// a page that stands a little askew needs no second detection.
import { median } from "../layout/runs.ts";
import type { RasterImage } from "../pdfium.ts";
import { type OcrModels, runModel } from "./models.ts";
import { type PixelBox, resized } from "./raster.ts";

const longestSide = 1216;
const shortestSide = 640;
const isTextAbove = 0.3;
const isLineAbove = 0.5;
/** How far the core is widened, as the model was trained: area × ratio ÷ perimeter. */
const widening = 1.6;
const mean = [0.485, 0.456, 0.406];
const deviation = [0.229, 0.224, 0.225];

export interface DetectedLines {
  /** Degrees clockwise by which the lines fall; the boxes are measured after turning back by it. */
  skew: number;
  /** In pixels of the image after levelling (rotated about its middle, canvas grown to hold it). */
  boxes: PixelBox[];
  /** Share of text area in boxes that stand upright: near 1 when the page lies on its side. */
  uprightShare: number;
}

/** Indices of connected pixels of the map. */
type Component = Int32Array;

export async function detectLines(image: RasterImage, models: OcrModels): Promise<DetectedLines> {
  const longer = Math.max(image.width, image.height);
  const scale =
    longer > longestSide ? longestSide / longer : longer < shortestSide ? Math.min(2, shortestSide / longer) : 1;
  const width = Math.max(32, Math.round((image.width * scale) / 32) * 32);
  const height = Math.max(32, Math.round((image.height * scale) / 32) * 32);
  const small = await resized(image, width, height);
  const { data } = await runModel(models.detection, modelInput(small), [1, 3, height, width]);
  const components = componentsOf(data, width, height);
  const skew = skewOf(components, width);
  const [scaleX, scaleY] = [image.width / width, image.height / height];
  const boxes: PixelBox[] = [];
  let [upright, all] = [0, 0];
  const frame = levelledFrame(image, skew);
  for (const component of components) {
    const box = levelledBox(component, { width, scaleX, scaleY, frame });
    const [boxWidth, boxHeight] = [box.right - box.left, box.bottom - box.top];
    if (Math.min(boxWidth, boxHeight) < 3) continue;
    const distance = (boxWidth * boxHeight * widening) / (2 * (boxWidth + boxHeight));
    const grown = {
      left: Math.max(0, box.left - distance),
      top: Math.max(0, box.top - distance),
      right: Math.min(frame.width, box.right + distance),
      bottom: Math.min(frame.height, box.bottom + distance),
    };
    all += boxWidth * boxHeight;
    if (boxHeight > boxWidth * 1.6) upright += boxWidth * boxHeight;
    boxes.push(grown);
  }
  return { skew, boxes, uprightShare: all === 0 ? 0 : upright / all };
}

/** Planes, blue first, as in training. */
function modelInput({ data, width, height }: RasterImage): Float32Array {
  const plane = width * height;
  const input = new Float32Array(3 * plane);
  for (let channel = 0; channel < 3; channel++) {
    const values = Float32Array.from(
      { length: 256 },
      (_, value) => (value / 255 - (mean[channel] ?? 0)) / (deviation[channel] ?? 1),
    );
    for (let from = 2 - channel, to = channel * plane; from < data.length; from += 3, to++)
      input[to] = values[data[from] ?? 0] ?? 0;
  }
  return input;
}

/** Connected pixels above the threshold. All of them stand in one array in the order they are found, which is the queue as well. */
function componentsOf(map: Float32Array, width: number, height: number): Component[] {
  const seen = new Uint8Array(width * height);
  const queue = new Int32Array(width * height);
  const found: Component[] = [];
  let end = 0;
  for (let start = 0; start < map.length; start++) {
    if (seen[start] || (map[start] ?? 0) < isTextAbove) continue;
    const from = end;
    queue[end++] = start;
    seen[start] = 1;
    let score = 0;
    for (let head = from; head < end; head++) {
      const pixel = queue[head] ?? 0;
      const x = pixel % width;
      const y = (pixel - x) / width;
      score += map[pixel] ?? 0;
      for (let ny = Math.max(0, y - 1); ny <= Math.min(height - 1, y + 1); ny++)
        for (let nx = Math.max(0, x - 1); nx <= Math.min(width - 1, x + 1); nx++) {
          const next = ny * width + nx;
          if (seen[next] || (map[next] ?? 0) < isTextAbove) continue;
          seen[next] = 1;
          queue[end++] = next;
        }
    }
    const count = end - from;
    if (count >= 8 && score / count >= isLineAbove) found.push(queue.subarray(from, end));
  }
  return found;
}

const largestSkew = 15;

/** The middle slope of the long, flat components, in degrees; 0 when there are too few or they disagree. */
function skewOf(components: readonly Component[], width: number): number {
  const slopes: number[] = [];
  for (const component of components) {
    let [sumX, sumY] = [0, 0];
    for (const pixel of component) {
      sumX += pixel % width;
      sumY += Math.floor(pixel / width);
    }
    const [meanX, meanY] = [sumX / component.length, sumY / component.length];
    let [xx, xy, yy] = [0, 0, 0];
    for (const pixel of component) {
      const [dx, dy] = [(pixel % width) - meanX, Math.floor(pixel / width) - meanY];
      xx += dx * dx;
      xy += dx * dy;
      yy += dy * dy;
    }
    // Long and flat only: a word of two letters has no slope worth asking.
    if (xx < yy * 40) continue;
    slopes.push((Math.atan2(xy, xx) * 180) / Math.PI);
  }
  if (slopes.length < 3) return 0;
  const middle = median(slopes);
  const spread = median(slopes.map((slope) => Math.abs(slope - middle)));
  return Math.abs(middle) < 0.25 || Math.abs(middle) > largestSkew || spread > 1 ? 0 : Math.round(middle * 20) / 20;
}

interface Frame {
  width: number;
  height: number;
  toFrame: (x: number, y: number) => { x: number; y: number };
}

/** Where pixels of the image come to lie when it is rotated by -skew about its middle and the canvas grows to hold it. */
function levelledFrame(image: RasterImage, skew: number): Frame {
  const angle = (-skew * Math.PI) / 180;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const width = skew === 0 ? image.width : Math.abs(image.width * cos) + Math.abs(image.height * sin);
  const height = skew === 0 ? image.height : Math.abs(image.width * sin) + Math.abs(image.height * cos);
  return {
    width,
    height,
    toFrame: (x, y) => {
      const [dx, dy] = [x - image.width / 2, y - image.height / 2];
      return { x: dx * cos - dy * sin + width / 2, y: dx * sin + dy * cos + height / 2 };
    },
  };
}

function levelledBox(
  component: Component,
  { width, scaleX, scaleY, frame }: { width: number; scaleX: number; scaleY: number; frame: Frame },
): PixelBox {
  const box = { left: Number.POSITIVE_INFINITY, top: Number.POSITIVE_INFINITY, right: 0, bottom: 0 };
  for (const pixel of component) {
    const { x, y } = frame.toFrame(((pixel % width) + 0.5) * scaleX, (Math.floor(pixel / width) + 0.5) * scaleY);
    box.left = Math.min(box.left, x);
    box.right = Math.max(box.right, x);
    box.top = Math.min(box.top, y);
    box.bottom = Math.max(box.bottom, y);
  }
  const [half, halfY] = [scaleX / 2, scaleY / 2];
  return { left: box.left - half, right: box.right + half, top: box.top - halfY, bottom: box.bottom + halfY };
}

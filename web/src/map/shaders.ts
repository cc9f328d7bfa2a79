const VERTEX = `#version 300 es
uniform mat4 u_matrix;
in vec2 a_at;
in vec2 a_uv;
out vec2 v_uv;
void main() {
  v_uv = a_uv;
  gl_Position = u_matrix * vec4(a_at, 0.0, 1.0);
}`;

// kinds: 0 colours as they are, 1 index of a colour, 2 score on a ramp
const FRAGMENT = `#version 300 es
precision highp float;
uniform sampler2D u_values;
uniform sampler2D u_colours;
uniform int u_kind;
uniform float u_opacity;
uniform vec3 u_scale;
in vec2 v_uv;
out vec4 colour;
void main() {
  vec4 value = texture(u_values, v_uv);
  vec4 result = value;
  if (u_kind == 1) {
    result = texelFetch(u_colours, ivec2(int(value.r * 255.0 + 0.5), 0), 0);
  } else if (u_kind == 2) {
    if (value.r < u_scale.z || value.r < -1e30) discard;
    float share = clamp((value.r - u_scale.x) / max(u_scale.y - u_scale.x, 1e-6), 0.0, 1.0);
    result = texelFetch(u_colours, ivec2(int(share * 255.0 + 0.5), 0), 0);
  }
  if (result.a == 0.0) discard;
  colour = result * u_opacity;
}`;

export interface Program {
  readonly program: WebGLProgram;
  readonly at: number;
  readonly uv: number;
  readonly uniform: Readonly<
    Record<"matrix" | "values" | "colours" | "kind" | "opacity" | "scale", WebGLUniformLocation | null>
  >;
}

function shader(gl: WebGL2RenderingContext, type: number, source: string): WebGLShader {
  const made = gl.createShader(type);
  if (!made) throw new Error("the graphics card gives no shader");
  gl.shaderSource(made, source);
  gl.compileShader(made);
  if (!gl.getShaderParameter(made, gl.COMPILE_STATUS) && !gl.isContextLost())
    throw new Error(gl.getShaderInfoLog(made) ?? "a shader does not compile");
  return made;
}

export function program(gl: WebGL2RenderingContext): Program {
  const made = gl.createProgram();
  gl.attachShader(made, shader(gl, gl.VERTEX_SHADER, VERTEX));
  gl.attachShader(made, shader(gl, gl.FRAGMENT_SHADER, FRAGMENT));
  gl.linkProgram(made);
  const uniform = (name: string) => gl.getUniformLocation(made, `u_${name}`);
  return {
    program: made,
    at: gl.getAttribLocation(made, "a_at"),
    uv: gl.getAttribLocation(made, "a_uv"),
    uniform: {
      matrix: uniform("matrix"),
      values: uniform("values"),
      colours: uniform("colours"),
      kind: uniform("kind"),
      opacity: uniform("opacity"),
      scale: uniform("scale"),
    },
  };
}

// A part's table of addresses, its handlers bound to what they work on. app.ts puts the result on the router.
import type { Api, ApiContext } from "./api.ts";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
export type Handler = (context: ApiContext, api: Api) => Response | Promise<Response>;
type DoorHandler<Door> = (context: ApiContext, api: Api, door: Door) => Response | Promise<Response>;
export type RouteTable<Door> = Readonly<Record<string, { readonly [method in Method]?: DoorHandler<Door> }>>;

export function boundRoutes<Door>(
  table: RouteTable<Door>,
  door: Door,
): [path: string, handlers: { [method in Method]?: Handler }][] {
  return Object.entries(table).map(([path, handlers]) => [
    path,
    Object.fromEntries(
      Object.entries(handlers).map(([method, handler]): [string, Handler] => [
        method,
        (context, api) => handler(context, api, door),
      ]),
    ),
  ]);
}

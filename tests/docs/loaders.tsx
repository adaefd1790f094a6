// A page of twenty loaders with the app's cookie, or with one by another name, which the app's proxy does not refresh.
import { cookies } from "next/headers";
import { createServerClient } from "@keyturn/client/server";
import { baseUrl, keyturn } from "../../lib/keyturn";

async function Loader({ name }: { name: string | undefined }) {
  const client = name ? createServerClient({ baseUrl, name, cookies: await cookies() }) : await keyturn();
  return <li>{await client.me().then(({ user }) => user.email, (error) => error.kind ?? String(error))}</li>;
}

export default async function Page({ searchParams }: { searchParams: Promise<{ name?: string }> }) {
  const { name } = await searchParams;
  return <ul>{Array.from({ length: 20 }, (_, index) => <Loader key={index} name={name} />)}</ul>;
}

"""The virtual wire: the asyncio server and crowd of the live wire, on a clock that skips what nobody waits for."""

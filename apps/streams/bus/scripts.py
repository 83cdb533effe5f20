"""Lua texts that run inside redis-core, each one atomic. All numbers stay below 9e15, where doubles are exact.

Effects of one script are written to the append-only file as one MULTI/EXEC, so a crash keeps all or none of them.
Every script checks before its first write, because an error does not undo what came before it.

A full server (maxmemory) refuses the first write of a script that may need memory, so it would refuse what makes room,
too. Only new commands are refused then: whatever empties the server or decides who may write passes, because it writes
little, and no more than the commands that are in already. So do the few commands with which the worker takes over or
stops markets. Such a script begins with a write that needs no memory and changes nothing; from there on the server lets
it finish (6.2: lua_write_dirty, 7 and later: SCRIPT_WRITE_DIRTY).
"""

from hashlib import sha1
from typing import Final
from zlib import crc32

from apps.streams.records import FRAME_SIZE


def _sha(text: str) -> str:
    """Redis names scripts by SHA-1 of their text; nothing depends on its strength."""
    return sha1(text.encode("ascii"), usedforsecurity=False).hexdigest()


# KEYS[1] is the epoch or a stream, which never expires: PERSIST is a write without effect.
_ALSO_WHEN_FULL: Final = "redis.call('PERSIST',KEYS[1])\n"

_FENCE: Final = """
local cur=redis.call('GET',KEYS[1]); if cur~=ARGV[1] then return redis.error_reply('FENCED '..(cur or 'none')) end
"""

# KEYS commands, frames_in   ARGV append_arguments(frames)   -> entry id
APPEND_COMMANDS: Final = """
local id=redis.call('XADD',KEYS[1],'*','d',ARGV[1],'k',ARGV[3])
redis.call('INCRBY',KEYS[2],ARGV[2])
return id
"""

# The same, for the few commands of the worker: PERSIST leaves the stream, which never expires, as it is.
APPEND_OWN_COMMANDS: Final = _ALSO_WHEN_FULL + APPEND_COMMANDS

# KEYS epoch, events, head   ARGV epoch, first, last, prev_chain, chain, last_cmd, body, rules version   -> last
APPEND_EVENTS: Final = (
    _FENCE
    + """
local h=redis.call('HMGET',KEYS[3],'seq','chain'); local seq,chain=h[1] or '0',h[2] or ''
if string.format('%.0f',tonumber(seq)+1)~=ARGV[2] or chain~=ARGV[4] then
  return redis.error_reply('GAP '..seq..' '..chain)
end
if tonumber(ARGV[3])<tonumber(ARGV[2]) or tonumber(ARGV[3])>9e15 then return redis.error_reply('BADRANGE') end
"""
    + _ALSO_WHEN_FULL
    + """
redis.call('XADD',KEYS[2],ARGV[3]..'-0','e',ARGV[1],'f',ARGV[2],'p',ARGV[4],'h',ARGV[5],'c',ARGV[6],'d',ARGV[7],
  'r',ARGV[8])
redis.call('HSET',KEYS[3],'seq',ARGV[3],'chain',ARGV[5],'cmd',ARGV[6])
return ARGV[3]
"""
)

# KEYS epoch   ARGV epoch   -> 1, or 0 where the stored one is not smaller
RAISE_EPOCH: Final = (
    """
if tonumber(ARGV[1])<=tonumber(redis.call('GET',KEYS[1]) or '0') then return 0 end
"""
    + _ALSO_WHEN_FULL
    + """
redis.call('SET',KEYS[1],ARGV[1])
return 1
"""
)

# KEYS epoch, lease   ARGV holder, ttl_ms   -> 1 while the lease is the holder's
TAKE_LEASE: Final = (
    """
local cur=redis.call('GET',KEYS[2])
if cur and cur~=ARGV[1] then return 0 end
"""
    + _ALSO_WHEN_FULL
    + """
redis.call('SET',KEYS[2],ARGV[1],'PX',ARGV[2])
return 1
"""
)

# KEYS lease   ARGV holder
RELEASE_LEASE: Final = """
if redis.call('GET',KEYS[1])==ARGV[1] then redis.call('DEL',KEYS[1]) return 1 end
return 0
"""

# KEYS epoch, frames_done   ARGV epoch, done
SET_FRAMES_DONE: Final = _FENCE + _ALSO_WHEN_FULL + "redis.call('SET',KEYS[2],ARGV[2]) return 1\n"

# KEYS epoch, commands, frames_in, frames_done   ARGV epoch, done, after, frame size   -> frames after `after`
RECOUNT_FRAMES: Final = (
    _FENCE
    + """
local from,bytes='('..ARGV[3],0
while true do
  local rows=redis.call('XRANGE',KEYS[2],from,'+','COUNT',1000)
  for _,row in ipairs(rows) do bytes=bytes+#row[2][2]; from='('..row[1] end
  if #rows<1000 then break end
end
local waiting=bytes/tonumber(ARGV[4])
"""
    + _ALSO_WHEN_FULL
    + """
redis.call('SET',KEYS[3],string.format('%.0f',tonumber(ARGV[2])+waiting))
redis.call('SET',KEYS[4],ARGV[2])
return waiting
"""
)

# KEYS epoch, skips   ARGV epoch, commands, reason
WRITE_SKIP: Final = _FENCE + _ALSO_WHEN_FULL + "return redis.call('HSET',KEYS[2],ARGV[2],ARGV[3])\n"

# KEYS epoch, commands, events, trimmed   ARGV epoch, cmd ms, cmd n, seq   -> stored cmd, stored seq
TRIM: Final = (
    _FENCE
    + """
local h=redis.call('HMGET',KEYS[4],'cmd','seq'); local cmd,seq=h[1] or '0-0',h[2] or '0'
local ms,n=string.match(cmd,'^(%d+)-(%d+)$'); ms,n=tonumber(ms),tonumber(n)
local to_ms,to_n=tonumber(ARGV[2]),tonumber(ARGV[3])
if to_ms>ms or (to_ms==ms and to_n>n) then ms,n=to_ms,to_n end
if tonumber(ARGV[4])>tonumber(seq) then seq=ARGV[4] end
cmd=string.format('%.0f-%.0f',ms,n)
"""
    + _ALSO_WHEN_FULL
    + """
redis.call('HSET',KEYS[4],'cmd',cmd,'seq',seq)
redis.call('XTRIM',KEYS[2],'MINID',string.format('%.0f-%.0f',ms,n+1))
redis.call('XTRIM',KEYS[3],'MINID',string.format('%.0f-0',tonumber(seq)+1))
return {cmd,seq}
"""
)

# KEYS epoch, cursors   ARGV reader, cursor
SET_CURSOR: Final = _ALSO_WHEN_FULL + "return redis.call('HSET',KEYS[2],ARGV[1],ARGV[2])\n"

# KEYS epoch, settled   ARGV seq, channel
ANNOUNCE_SETTLED: Final = (
    _ALSO_WHEN_FULL
    + """
redis.call('SET',KEYS[2],ARGV[1])
return redis.call('PUBLISH',ARGV[2],ARGV[1])
"""
)

# KEYS epoch, disk_free   ARGV bytes, ttl_ms
REPORT_DISK: Final = _ALSO_WHEN_FULL + "return redis.call('SET',KEYS[2],ARGV[1],'PX',ARGV[2])\n"


def append_arguments(frames: bytes) -> tuple[bytes, int, int]:
    """Of APPEND_COMMANDS. The checksum is compared by every reader: until its events are published a command has one
    copy, which no chain covers."""
    return frames, len(frames) // FRAME_SIZE, crc32(frames)


APPEND_COMMANDS_SHA: Final = _sha(APPEND_COMMANDS)

TEXT_BY_SHA: Final = {
    _sha(text): text
    for text in (
        APPEND_COMMANDS, APPEND_OWN_COMMANDS, APPEND_EVENTS, RAISE_EPOCH, TAKE_LEASE, RELEASE_LEASE, SET_FRAMES_DONE,
        RECOUNT_FRAMES, WRITE_SKIP, TRIM, SET_CURSOR, ANNOUNCE_SETTLED, REPORT_DISK,
    )
}  # fmt: skip
SHA_BY_TEXT: Final = {text: sha for sha, text in TEXT_BY_SHA.items()}

"""The rules of counting.py as one Lua script in redis-edge: atomic, by that server's clock, for all gateways.

ARGV requests (msgpack: a list of Charge), refusals that make a ban, orders that traded before the requests (msgpack: a
list of Credit)   -> msgpack: server time in ms, a list of Usage

Keys: `limits:ip:<address>` and `limits:orders:<account>`, hashes that expire some time after their last window, and
`limits:filled:<account>`, its orders that have traded, by when that was heard of first. They are named by what the
requests hold and not by KEYS, so redis-edge is one server and not a cluster. If it forgets them (it may be emptied at
any moment), counting begins anew.
"""

from hashlib import sha1
from typing import Final

from apps.gateway.limits.counting import (
    BAN_FACTOR,
    BAN_FIRST_MS,
    BAN_MAX_MS,
    DAY_MS,
    FILLED_KEPT,
    FIVE_MINUTES_MS,
    FORGIVEN_MS,
    MINUTE_MS,
    SPELL_MS,
    TEN_SECONDS_MS,
)

_CONSTANTS: Final = f"""
local MINUTE,FIVE,SPELL,TEN,DAY={MINUTE_MS},{FIVE_MINUTES_MS},{SPELL_MS},{TEN_SECONDS_MS},{DAY_MS}
local BAN_FIRST,BAN_FACTOR,BAN_MAX,FORGIVEN={BAN_FIRST_MS},{BAN_FACTOR},{BAN_MAX_MS},{FORGIVEN_MS}
local FILLED_KEPT={FILLED_KEPT}
"""

ADMIT: Final = (
    _CONSTANTS
    + """
local time=redis.call('TIME')
local now=time[1]*1000+math.floor(time[2]/1000)
local minute,five,spell=math.floor(now/MINUTE),math.floor(now/FIVE),math.floor(now/SPELL)
local ten,day=math.floor(now/TEN),math.floor(now/DAY)
local violations_max=tonumber(ARGV[2])
local addresses,accounts={},{}

local function address_of(name)
  local a=addresses[name]
  if a then return a end
  local h=redis.call('HMGET','limits:ip:'..name,'m','w','s','f','r','p','v','u','n')
  for i=1,9 do h[i]=tonumber(h[i] or 0) end
  a={m=h[1],w=h[2],s=h[3],f=h[4],r=h[5],p=h[6],v=h[7],u=h[8],n=h[9]}
  if a.m~=minute then a.m,a.w,a.s=minute,0,0 end
  if a.f~=five then a.f,a.r=five,0 end
  if a.p~=spell then a.p,a.v=spell,0 end
  if a.n>0 and now>a.u+FORGIVEN then a.n=0 end
  addresses[name]=a
  return a
end

local function account_of(id)
  local o=accounts[id]
  if o then return o end
  local h=redis.call('HMGET','limits:orders:'..id,'t','a','d','b')
  for i=1,4 do h[i]=tonumber(h[i] or 0) end
  o={t=h[1],a=h[2],d=h[3],b=h[4]}
  if o.t~=ten then o.t,o.a=ten,0 end
  if o.d~=day then o.d,o.b=day,0 end
  accounts[id]=o
  return o
end

local function credit(c)
  local id=string.format('%.0f',c[1])
  local key='limits:filled:'..id
  if redis.call('ZADD',key,'NX',now,string.format('%.0f',c[2]))==0 then return end
  if redis.call('ZCARD',key)>FILLED_KEPT then redis.call('ZPOPMIN',key) end
  redis.call('PEXPIRE',key,DAY)
  local o=account_of(id)
  o.a,o.b=math.max(o.a-c[3],0),math.max(o.b-c[3],0)
end

local function violation(a,verdict,until_ms)
  a.v=a.v+1
  if a.v<violations_max then return verdict,until_ms end
  a.v=0
  a.u=now+math.min(BAN_FIRST*BAN_FACTOR^a.n,BAN_MAX)
  a.n=a.n+1
  return 3,a.u
end

local function verdict_of(c,a,o,used)
  if a.u>now then return 3,a.u end
  a.r=a.r+1
  if a.r>c[5] then return violation(a,2,(a.f+1)*FIVE) end
  if a[used]+c[2]>c[4] then return violation(a,1,(a.m+1)*MINUTE) end
  a[used]=a[used]+c[2]
  if c[7]>0 then
    if o.a+c[7]>c[8] then return 4,(o.t+1)*TEN end
    if o.b+c[7]>c[9] then return 5,(o.d+1)*DAY end
    o.a,o.b=o.a+c[7],o.b+c[7]
  end
  return 0,0
end

for _,c in ipairs(cmsgpack.unpack(ARGV[3])) do credit(c) end
local answers={}
for i,c in ipairs(cmsgpack.unpack(ARGV[1])) do
  local a=address_of(c[1])
  local id=string.format('%.0f',c[6])
  local o=c[6]>0 and account_of(id) or {a=0,b=0}
  local used=c[3]>0 and 's' or 'w'
  local verdict,until_ms=verdict_of(c,a,o,used)
  answers[i]={verdict,until_ms,a[used],a.r,o.a,o.b}
end
for name,a in pairs(addresses) do
  local key='limits:ip:'..name
  redis.call('HSET',key,'m',a.m,'w',a.w,'s',a.s,'f',a.f,'r',a.r,'p',a.p,'v',a.v,'u',a.u,'n',a.n)
  redis.call('PEXPIRE',key,a.n>0 and math.max(a.u+FORGIVEN-now,2*FIVE) or 2*FIVE)
end
for id,o in pairs(accounts) do
  local key='limits:orders:'..id
  redis.call('HSET',key,'t',o.t,'a',o.a,'d',o.d,'b',o.b)
  redis.call('PEXPIRE',key,DAY)
end
return cmsgpack.pack({now,answers})
"""
)

# Redis names scripts by SHA-1 of their text; nothing depends on its strength.
ADMIT_SHA: Final = sha1(ADMIT.encode("ascii"), usedforsecurity=False).hexdigest()

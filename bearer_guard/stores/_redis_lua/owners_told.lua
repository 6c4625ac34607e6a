-- No ARGV. What this shard was told of owners' accounts: name and version by turns.
return redis.call('HGETALL', BASE .. 'owners')

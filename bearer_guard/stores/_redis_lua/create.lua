-- ARGV: schema, number of shards, epoch. Notes them in a shard that has none.
for number, field in ipairs({'schema', 'shards', 'epoch'}) do
  redis.call('HSETNX', BASE .. 'about', field, ARGV[number])
end
return redis.status_reply('OK')

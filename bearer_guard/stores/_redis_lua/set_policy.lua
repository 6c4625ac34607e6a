-- ARGV: tag, settings.
log(ARGV[1], '')
redis.call('HSET', BASE .. 'about', 'policy', ARGV[2])
return redis.status_reply('OK')

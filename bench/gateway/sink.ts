/** Takes whatever is posted and says so: stands for a collector of spans, whose own cost is nobody's here. */
import { createServer } from 'node:http'

const server = createServer((request, response) => {
  request.resume()
  request.on('end', () => response.writeHead(200, { 'content-type': 'application/json' }).end('{}'))
})
server.listen(Number(process.argv[2]), '127.0.0.1', () => console.log('ready'))

import { readMemory, readMode, readOpenFiles } from '../../platform/diagnose/machine.ts'
import { readDiskSpace } from '../../platform/files.ts'
import { findPortHolder } from '../../platform/port-holder.ts'
import { bad, defineFinding, ok, skip, unknown, warn } from '../finding.ts'

const mebibyte = 1024 ** 2
const inMebibytes = (bytes: number) => `${Math.floor(bytes / mebibyte)} MiB`

export const diskFull = defineFinding({
  id: 'disk_full',
  area: 'machine',
  severity: 'critical',
  run({ settings }) {
    if (settings === null) return skip('the data folder is not known')
    if (readMode(settings.data.dir) === null) return skip('there is no data folder yet')
    return judgeDisk(readDiskSpace(settings.data.dir))
  },
})

/** The same limits as the health check `disk`. */
export function judgeDisk({ freeBytes, totalBytes }: { freeBytes: number; totalBytes: number }) {
  const evidence = `${inMebibytes(freeBytes)} of ${inMebibytes(totalBytes)} are free`
  if (freeBytes >= 512 * mebibyte) return ok(evidence)
  const isFull = freeBytes < 64 * mebibyte
  return (isFull ? bad : warn)(
    evidence,
    {
      en: `The disk of the data folder is ${isFull ? 'full: calls are refused, because nobody could account for them' : 'nearly full'}.`,
      zh: `数据目录所在磁盘${isFull ? '已满：无法记账，模型调用会被拒绝' : '空间不足'}。`,
    },
    {
      en: 'See what takes the room (du -sh data/*), make room, or move the data folder (data.dir).',
      zh: '用 du -sh data/* 查看占用并清理，或迁移数据目录（data.dir）。',
    },
  )
}

export const openFiles = defineFinding({
  id: 'open_files',
  area: 'machine',
  severity: 'major',
  async run({ settings, isHub }) {
    const holder = isHub || settings === null ? null : await findPortHolder(settings.server.port)
    return judgeOpenFiles(readOpenFiles(holder?.pid ?? 'self'))
  },
})

/** Each call needs two sockets; below 4096 a few hundred streams end it. */
export function judgeOpenFiles(found: { open: number; limit: number } | null) {
  if (found === null) return skip('this system does not tell of open files')
  const { open, limit } = found
  const evidence = `${open} of ${limit} files are open`
  const remedy = {
    en: 'Raise it: ulimit -n 65536 before the start, LimitNOFILE=65536 for systemd, --ulimit nofile=65536 for Docker.',
    zh: '请提高上限：启动前 ulimit -n 65536；systemd 用 LimitNOFILE=65536；Docker 用 --ulimit nofile=65536。',
  }
  if (open > limit * 0.9) {
    return bad(
      evidence,
      { en: 'The process may hardly open another file or socket.', zh: '进程可打开的文件或连接即将耗尽。' },
      remedy,
    )
  }
  if (limit >= 4096 || open < limit / 4) {
    return limit >= 1024
      ? ok(evidence)
      : warn(
          evidence,
          {
            en: 'So few files may be open that some hundred calls at once fail.',
            zh: '可打开的文件数过少，数百个并发调用就会失败。',
          },
          remedy,
        )
  }
  return warn(
    evidence,
    { en: 'More than a quarter of the few files that may be open are.', zh: '文件句柄上限偏低且已用去四分之一以上。' },
    remedy,
  )
}

export const memoryLow = defineFinding({
  id: 'memory_low',
  area: 'machine',
  severity: 'major',
  run: () => judgeMemory(readMemory()),
})

export function judgeMemory({ availableBytes, totalBytes, of }: ReturnType<typeof readMemory>) {
  const evidence = `${inMebibytes(availableBytes)} of ${inMebibytes(totalBytes)} (${of}) are available`
  if (!(totalBytes > 0))
    return unknown(evidence, { en: 'This system does not tell of its memory.', zh: '系统未提供内存信息。' })
  if (availableBytes >= 256 * mebibyte) return ok(evidence)
  return (availableBytes < 64 * mebibyte ? bad : warn)(
    evidence,
    {
      en: `The ${of} has hardly any memory left: the system may end the hub.`,
      zh: `${of === 'machine' ? '机器' : '容器'}内存即将耗尽，系统可能终止本服务。`,
    },
    {
      en: 'Give it more memory, or end what else takes it (top -o %MEM).',
      zh: '请增加内存，或结束其他占用内存的程序（top -o %MEM）。',
    },
  )
}

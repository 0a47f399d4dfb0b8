/**
 * What everybody tries first: the passwords of eight and more characters that head every list of stolen ones, in lower
 * case. Small on purpose: tries are limited by `lockout.ts`, and a long list would only be a longer wait for a fit one.
 */
export const commonPasswords: ReadonlySet<string> = new Set(
  `12345678 123456789 1234567890 0123456789 87654321 987654321 123123123 12341234 11223344 1234qwer 1q2w3e4r 1q2w3e4r5t
  1qaz2wsx 1qazxsw2 qwertyui qwertyuiop qwerty12 qwerty123 qwerty1234 qwe123456 asdfghjk asdfghjkl zxcvbnm1 zxcvbnm123
  a1234567 a12345678 a123456789 abc12345 abcd1234 abcdefgh aa123456 aa12345678 password password1 password12 password123
  password1234 password! passw0rd p@ssw0rd p@ssword pa55word administrator admin123 admin1234 admin12345 adminadmin
  admin@123 root1234 rootroot changeme changeme123 change-me letmein1 letmein123 welcome1 welcome123 iloveyou iloveyou1
  sunshine princess football baseball superman batman123 starwars whatever trustno1 computer internet michelle jennifer
  dragon123 monkey123 master123 shadow123 secret123 test1234 testtest guest123 default1 user1234 login123 temp1234
  gatehouse gatehouse1 gatehouse123 openai123 chatgpt123 woaini123 woaini1314 woaini520 5201314520 1314520520 asd123456
  qq123456 qq123456789 zxc123456 147258369 789456123 741852963 159357456 1234abcd q1w2e3r4 correcthorsebatterystaple`
    .split(/\s+/)
    .filter((word) => word !== ''),
)

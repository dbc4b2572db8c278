-- What the shop's raw lines say about the sampled customers, read without staging: product lines (a stock code begins
-- with five digits), the invoices that they make up, and (for no customer) the families of products on offer. An
-- invoice whose number starts with C is a return. The same line told twice counts once.
{%- set is_product_line %}
        not lines._is_merged
        and length(trim(lines.stock_code)) >= 5
        and left(trim(lines.stock_code), 5) >= '00000'
        and left(trim(lines.stock_code), 5) <= '99999'
{%- endset %}
with sampled as (

    {{ sampled_ids('online_retail') }}

),

-- The files write a customer's number with or without decimals.
spellings as (

    select
        customer_id,
        source_customer_id as spelling
    from sampled
    union all
    select
        customer_id,
        source_customer_id || '.0' as spelling
    from sampled

),

bought as (

    select distinct
        spellings.customer_id,
        lines.invoice_no,
        lines.stock_code,
        lines.description,
        lines.quantity,
        lines.invoice_date,
        lines.unit_price,
        lines.customer_id as customer_as_typed,
        lines.country
    from {{ source('online_retail', 'lines') }} as lines
    inner join spellings
        on trim(lines.customer_id) = spellings.spelling
    where {{ is_product_line }}

),

priced as (

    select
        customer_id,
        invoice_no,
        upper(trim(stock_code)) as product,
        {{ parse_date('invoice_date') }} as sold_on,
        upper(invoice_no) like 'C%' as is_return,
        cast(
            try_cast(quantity as decimal(18, 3)) * try_cast(unit_price as decimal(18, 3)) as decimal(18, 2)
        ) as amount
    from bought

),

invoices as (

    select
        customer_id,
        invoice_no,
        is_return,
        min(sold_on) as invoiced_on,
        sum(amount) as amount
    from priced
    group by customer_id, invoice_no, is_return

),

-- The shop sells in pounds; the rate of the day makes them the reporting currency.
rated as (

    select
        invoices.customer_id,
        invoices.invoice_no,
        invoices.is_return,
        invoices.invoiced_on,
        invoices.amount,
        cast(max_by(rates.rate, rates.valid_from) as decimal(18, 8)) as rate
    from invoices
    left join {{ source('rules', 'exchange_rates') }} as rates
        on
            rates.currency = 'GBP'
            and invoices.invoiced_on >= rates.valid_from
            and rates.rules_version in (select customers.rules_version from {{ ref('audit_customers') }} as customers)
    group by
        invoices.customer_id,
        invoices.invoice_no,
        invoices.is_return,
        invoices.invoiced_on,
        invoices.amount

),

facts as (

    select
        customer_id,
        case when is_return then 'return' else 'sale' end as fact,
        invoiced_on as happened_on,
        cast(null as varchar) as category,
        cast(null as varchar) as product,
        cast(round(cast(amount as decimal(18, 2)) * rate, 2) as decimal(18, 2)) as net_amount,
        cast(round(cast(amount as decimal(18, 2)) * rate, 2) as decimal(18, 2)) as gross_amount
    from rated
    union all
    select
        priced.customer_id,
        case when rated.is_return then 'returned_line' else 'sold_line' end as fact,
        rated.invoiced_on as happened_on,
        left(priced.product, 5) as category,
        'online_retail ' || priced.product as product,
        cast(round(priced.amount * rated.rate, 2) as decimal(18, 2)) as net_amount,
        cast(null as decimal(18, 2)) as gross_amount
    from priced
    inner join rated
        on
            priced.customer_id = rated.customer_id
            and priced.invoice_no = rated.invoice_no
    union all
    select distinct
        cast(null as varchar) as customer_id,
        'offered' as fact,
        cast(null as date) as happened_on,
        left(upper(trim(stock_code)), 5) as category,
        cast(null as varchar) as product,
        cast(null as decimal(18, 2)) as net_amount,
        cast(null as decimal(18, 2)) as gross_amount
    from {{ source('online_retail', 'lines') }} as lines
    where {{ is_product_line }}

)

select
    customer_id,
    fact,
    happened_on,
    cast(null as date) as settled_on,
    category,
    product,
    net_amount,
    gross_amount,
    cast(null as decimal(18, 2)) as cost_amount
from facts
